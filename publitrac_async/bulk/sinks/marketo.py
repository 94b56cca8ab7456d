"""Sink for Marketo: batches of 300 leads with an outcome for each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from publitrac_async.bulk.outcomes import is_fatal
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.base import CallJournal, OwnColumns, Record, queue_length
from publitrac_async.bulk.sinks.halving import Halver
from publitrac_async.bulk.sinks.marketo_records import MarketoRecords
from publitrac_async.config import MARKETO_RECORDS
from publitrac_async.errors import (
    ApiError,
    ConfigurationError,
    Problem,
    PublitracError,
    RateLimited,
    ServerError,
    ValidationError,
)
from publitrac_async.marketo import Action, LeadSchema, PreparedMarketoLead
from publitrac_async.marketo.records import parts
from publitrac_async.models import Lead
from publitrac_async.protocols import MarketoApi

logger: Final = logging.getLogger("publitrac_async")

#: Every account can look up leads by these fields; others are checked against the account's schema.
_LOOKUP_FIELDS: Final = frozenset({"email", "id"})
#: Codes that concern the settings of a call, not its records.
_SETTINGS: Final = frozenset({"605", "610", "612", "1002", "1009", "1011", "1018"})
_NO_FIELD: Final = "1006"
_TOO_LONG: Final = "604"


class MarketoSink:
    """``marketo.sync_leads``: 300 rows per call.

    The names of columns are taken as REST names of Marketo's fields; `fields` renames them. Of a `Lead`, only
    `fields` are sent. A run sends each key once, so no two upserts of a key are in flight together, as
    Marketo requires. With ``createOnly`` and ``createDuplicate`` a row with an unknown outcome is never sent
    again: `reconcile` it.

    A call that fails as a whole is halved until it succeeds; a record that always fails is rejected alone. If
    Marketo reports an unknown field, the sink fetches the schema of the account once, and rejects further
    rows with unknown fields without a call.

    Args:
        marketo: an open client.
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead; its value is the key of a row. ``id``
            needs ``updateOnly``.
        fields: REST name in Marketo by column, or by field of a `Lead`. By default columns keep
            their names, and leads have `publitrac_async.marketo.STANDARD_FIELDS`.
        partition_name: partition of the leads. The same lead in another partition is another row.
        opt_in: REST names of consent fields that are sent for "no" as well as for "yes"; see
            `publitrac_async.marketo.CONSENT_FIELDS`.
        destination: name of the instance, so that a state store is not used for another instance.

    Raises:
        ConfigurationError: the settings contradict each other.
    """

    name = "marketo"
    success_state = State.OK
    batch_size = MARKETO_RECORDS

    def __init__(
        self,
        marketo: MarketoApi,
        *,
        action: Action = "createOrUpdate",
        lookup_field: str = "email",
        fields: Mapping[str, str] | None = None,
        partition_name: str | None = None,
        opt_in: Collection[str] = (),
        destination: str | None = None,
    ) -> None:
        self._records = MarketoRecords(
            action=action,
            lookup_field=lookup_field,
            fields=fields,
            partition_name=partition_name,
            opt_in=opt_in,
        )
        self.own_columns: OwnColumns = self._records.own_columns
        self.destination: str = f"marketo {destination or repr(marketo)}"
        self.idempotent: bool = action in ("createOrUpdate", "updateOnly")
        self._marketo = marketo
        self._action: Action = action
        self._lookup_field = lookup_field
        self._partition_name = partition_name
        self._halver = Halver(self._call, idempotent=self.idempotent, responds=self._responds)
        self._lock = asyncio.Lock()
        self._schema_fetched = False
        self._fields_of_account: frozenset[str] | None = None

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[bytes]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """
        return self._records(fields)

    async def send(self, contents: Sequence[bytes]) -> Sequence[PublitracError | None]:
        """Send leads, up to a megabyte per call; see `Sink.send`."""
        return await self.send_in_parts(contents)

    async def send_in_parts(
        self, contents: Sequence[bytes], journal: CallJournal | None = None
    ) -> Sequence[PublitracError | None]:
        """Send leads in one or more calls, and record each in `journal`; see `Sink`."""
        if self._lookup_field not in _LOOKUP_FIELDS:
            await self._fetch_schema()
        outcomes: list[PublitracError | None] = [self._unknown_field(each) for each in contents]
        wanted = [index for index, problem in enumerate(outcomes) if problem is None]
        chosen = [contents[index] for index in wanted]
        calls = parts([len(each) for each in chosen])
        sent = await self._halver.send(chosen, calls, indexes=wanted, journal=journal)
        for index, outcome in zip(wanted, sent, strict=True):
            outcomes[index] = outcome
        return outcomes

    def queue_length(self) -> int:
        """Return the number of calls in the client's queue."""
        return queue_length(self._marketo)

    async def _call(self, contents: Sequence[bytes]) -> Sequence[PublitracError | None]:
        try:
            results = await self._marketo.sync_leads(
                [PreparedMarketoLead(body) for body in contents],
                action=self._action,
                lookup_field=self._lookup_field,
                partition_name=self._partition_name,
                repeat_timeouts=len(contents) == 1,
            )
        except PublitracError as error:
            if error.code == _NO_FIELD:
                return await self._without_unknown_fields(contents, error)
            if error.code in _SETTINGS and not error.retryable:
                raise ConfigurationError(f"Marketo refuses the settings: {error.message}") from None
            # A later run may send a record that took too long, although this call was not repeated.
            error.retryable = error.retryable or error.code == _TOO_LONG
            raise
        errors = [each.error for each in results]
        if any(error is not None and error.code == _NO_FIELD for error in errors):
            await self._fetch_schema()
            errors = [self._named(error, body) for error, body in zip(errors, contents, strict=True)]
        return errors

    async def _without_unknown_fields(
        self, contents: Sequence[bytes], error: PublitracError
    ) -> Sequence[PublitracError | None]:
        """Send the records of a refused call again, except those with unknown fields."""
        await self._fetch_schema()
        errors: list[PublitracError | None] = [self._unknown_field(body) for body in contents]
        rest = [index for index, each in enumerate(errors) if each is None]
        if len(rest) == len(contents):
            raise error
        if rest:
            outcomes = await self._call([contents[index] for index in rest])
            for index, outcome in zip(rest, outcomes, strict=True):
                errors[index] = outcome
        return errors

    async def _responds(self) -> bool:
        """Return True if Marketo responds to a call without records."""
        try:
            await self._marketo.describe2()
        except PublitracError as error:
            refused = isinstance(error, ApiError) and not isinstance(error, ServerError | RateLimited)
            return refused and not is_fatal(error)
        return True

    async def _fetch_schema(self) -> None:
        """Fetch the schema of the account once. If that fails, only Marketo checks the fields.

        Raises:
            ConfigurationError: leads cannot be looked up by the field of this sink.
        """
        async with self._lock:
            if self._schema_fetched:
                return
            try:
                schema = await self._marketo.describe2()
            except PublitracError as error:
                logger.warning("the fields of the Marketo account cannot be read: %s", error.message)
                self._schema_fetched = True
                return
            self._check_lookup_field(schema)
            self._fields_of_account = frozenset(field.name.casefold() for field in schema.fields)
            self._schema_fetched = True

    def _check_lookup_field(self, schema: LeadSchema) -> None:
        searchable = sorted({key[0] for key in schema.searchable_fields if len(key) == 1} - {"cookies"})
        if self._lookup_field.casefold() not in {*map(str.casefold, searchable), *_LOOKUP_FIELDS}:
            raise ConfigurationError(
                f"leads cannot be looked up by {self._lookup_field}, only by {', '.join(searchable)}"
            )

    def _unknown_field(self, body: bytes) -> ValidationError | None:
        """Return the error of a record with fields missing in the account, ``None`` if it has none."""
        if self._fields_of_account is None:
            return None
        known = self._fields_of_account
        # Marketo's page does not say if the case of a name matters, so this check ignores it.
        unknown = [name for name in PreparedMarketoLead(body).fields if name.casefold() not in known]
        problems = [Problem("a field does not exist", code=_NO_FIELD, field=name) for name in sorted(unknown)]
        if not problems:
            return None
        text = "; ".join(f"{each.field}: {each.reason}" for each in problems)
        return ValidationError(text, problems=problems, code=_NO_FIELD)

    def _named(self, error: PublitracError | None, body: bytes) -> PublitracError | None:
        """Add the names of unknown fields to an error without names."""
        if not isinstance(error, ValidationError) or error.code != _NO_FIELD:
            return error
        if any(problem.field for problem in error.problems):
            return error
        return self._unknown_field(body) or error
