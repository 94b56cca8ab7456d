"""Sink of Marketo: batches of 300 leads, an outcome for each."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from publitrac_async.bulk.errors import MappingError
from publitrac_async.bulk.fields import Fields
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.base import OwnColumns, Record, hash_bytes
from publitrac_async.bulk.sinks.halving import Halver
from publitrac_async.config import MARKETO_RECORDS
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.errors import ConfigurationError, Problem, PublitracError, ValidationError
from publitrac_async.marketo import (
    CONSENT_FIELDS,
    STANDARD_FIELDS,
    Action,
    LeadSchema,
    MarketoClient,
    PreparedLead,
    drop_missing_consent,
    to_marketo,
)
from publitrac_async.marketo.building import address_problem
from publitrac_async.marketo.mapping import is_consent
from publitrac_async.marketo.records import ROOM, parts, sync_check, write_record
from publitrac_async.models import Lead, vendor_name

logger: Final = logging.getLogger("publitrac_async")

_ACTIONS: Final = ("createOrUpdate", "createOnly", "updateOnly", "createDuplicate")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Leads can always be looked up by these; other fields are checked with the account.
_LOOKUP_FIELDS: Final = frozenset({"email", "id"})
#: Codes that concern the settings of a call, not its records.
_SETTINGS: Final = frozenset({"605", "610", "612", "1002", "1009", "1011", "1018"})
#: REST name of the fields that a mapping file names as PUBLITRAC does.
_BY_VENDOR_NAME: Final = {vendor_name(name): target for name, target in STANDARD_FIELDS.items()}
_NO_FIELD: Final = "1006"
_TOO_LONG: Final = "604"


class MarketoRecords:
    """Transforms rows into records for Marketo.

    A column is sent under its name, as REST name of a field of Marketo; `fields` renames columns. A row that
    went through a `ColumnMapping` has PUBLITRAC's names, and REST names as custom fields. Of a `Lead`, which
    has PUBLITRAC's fields, only those in `fields` are sent. A cell is stripped; an empty one is not sent. An
    opt-out is sent, its absence is not (`publitrac_async.marketo.CONSENT_FIELDS`).

    Args:
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead; it is the key of a row.
        fields: REST name in Marketo by column, or by the name of a `Lead`'s field. By default columns keep
            their names, and leads have `STANDARD_FIELDS`.
        partition_name: partition of the leads. The same lead in another partition is another row.
        opt_in: REST names of consent fields of which a "no" is sent, too.

    Raises:
        ConfigurationError: the settings contradict each other.
    """

    def __init__(
        self,
        *,
        action: Action = "createOrUpdate",
        lookup_field: str = "email",
        fields: Mapping[str, str] | None = None,
        partition_name: str | None = None,
        opt_in: Collection[str] = (),
    ) -> None:
        if action not in _ACTIONS:
            raise ConfigurationError(f"action must be one of {', '.join(_ACTIONS)}")
        if not _NAME.fullmatch(lookup_field):
            raise ConfigurationError("lookup_field must be the REST name of a field")
        if lookup_field == "id" and action != "updateOnly":
            raise ConfigurationError("lookup_field id needs the action updateOnly: Marketo gives ids itself")
        if partition_name is not None and action not in ("createOrUpdate", "createOnly"):
            raise ConfigurationError("a partition needs the action createOrUpdate or createOnly")
        if partition_name is not None and not partition_name.strip():
            raise ConfigurationError("the name of the partition is empty")
        unknown = sorted(set(opt_in) - CONSENT_FIELDS)
        if unknown:
            known = ", ".join(sorted(CONSENT_FIELDS))
            raise ConfigurationError(f"{', '.join(unknown)}: not a consent field; those are {known}")
        self._columns = fields or {}
        self._lead_fields = STANDARD_FIELDS if fields is None else fields
        self._lookup_field = lookup_field
        self._partition = "" if partition_name is None else f"{partition_name}: "
        self._opt_in = frozenset(opt_in)
        self._check = sync_check(action)
        self._settings = f"{action} {lookup_field} ".encode()
        #: A table must have a column that identifies its leads.
        self.own_columns: OwnColumns = OwnColumns(
            frozenset({lookup_field} | self._columns_of(lookup_field)),
            {
                column.casefold(): field in self._opt_in
                for field in CONSENT_FIELDS
                for column in {field} | self._columns_of(field)
            },
        )
        #: Field by column, of rows with Marketo's names and of rows with PUBLITRAC's.
        self._known: dict[str, str] = {}
        self._known_mapped: dict[str, str] = {}
        #: Consent fields among them.
        self._consent: set[str] = set()

    def __call__(self, row: Mapping[str, Any] | Lead) -> Record[bytes]:
        """Return the record of a row.

        Raises:
            ValidationError: the row cannot be sent; lists every problem, by columns of the source.
        """
        if isinstance(row, Lead):
            record, problems = to_marketo(row, self._lead_fields, opt_in=self._opt_in), list[Problem]()
        else:
            record, problems = self._from_columns(row)
        body, found = write_record(record, self._check, sort=True)
        key = record.get(self._lookup_field)
        if self._lookup_field == "email":
            found += address_problem(key)
        elif key is None or key == "":
            found.append(Problem("is required, since leads are looked up by it", field=self._lookup_field))
        if body is not None and len(body) > ROOM:
            found.append(Problem(f"the row is larger than the {ROOM} bytes that fit in a call"))
        if found or problems:
            raise self._refusal([*problems, *found], row)
        assert body is not None
        return Record(f"{self._partition}{str(key).casefold()}", hash_bytes(self._settings + body), body)

    def _columns_of(self, field: str) -> set[str]:
        return {column for column, target in self._columns.items() if target == field}

    def _from_columns(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        record: dict[str, Any] = {}
        problems: list[Problem] = []
        mapped = isinstance(row, Fields) and row.mapped
        known = self._known_mapped if mapped else self._known
        for column, cell in row.items():
            value = cell
            if isinstance(cell, str):
                value = cell.strip()
                if not value:
                    continue
            elif cell is None or _is_missing(cell):
                continue
            name = known.get(column) or self._learn(column, known, mapped=mapped)
            if not name:
                problems.append(Problem("no field of Marketo can have this name: rename it", field=column))
                continue
            if name in record:
                problems.append(Problem(f"two columns for the field {name}", field=column))
            record[name] = value
        opt_in = self._opt_in
        if isinstance(row, Fields) and (row.cleared or row.both_ways):
            record |= dict.fromkeys((self._field(each, mapped=mapped) for each in row.cleared), None)
            self._consent.update(filter(is_consent, record))
            opt_in |= {self._field(each, mapped=mapped) for each in row.both_ways}
        if not self._consent.isdisjoint(record):
            drop_missing_consent(record, opt_in)
        return record, problems

    def _learn(self, column: str, known: dict[str, str], *, mapped: bool) -> str | None:
        """Return the field that a column goes to, ``None`` if no field can have that name."""
        name = self._field(column, mapped=mapped)
        if not _NAME.fullmatch(name):
            return None
        known[column] = name
        if is_consent(name):
            self._consent.add(name)
        return name

    def _field(self, column: str, *, mapped: bool) -> str:
        """Return the field that a column goes to; a row that was `mapped` has PUBLITRAC's names."""
        return self._columns.get(column, _BY_VENDOR_NAME.get(column, column) if mapped else column)

    def _refusal(self, problems: Sequence[Problem], row: Mapping[str, Any] | Lead) -> ValidationError:
        # The report names columns of the source.
        if isinstance(row, Lead):
            names = {target: vendor_name(source) for source, target in self._lead_fields.items()}
        else:
            names = {target: column for column, target in self._columns.items()}
        problems = [evolve(each, field=names.get(each.field or "", each.field)) for each in problems]
        return ValidationError("; ".join(map(str, problems)), problems=problems)


def _is_missing(value: Any) -> bool:
    """Return True for NaN, NaT and NA, the missing values of tables."""
    if isinstance(value, float | datetime):
        return value != value  # noqa: PLR0124  (NaN differs from itself)
    return type(value).__name__ == "NAType"  # That of pandas, which is not a dependency.


class MarketoSink:
    """``marketo.sync_leads``: 300 rows per call.

    The columns of a row are sent under their names, as REST names of Marketo's fields; `fields` renames them.
    Of a `Lead`, only `fields` are sent. A run sends each key once, so no two upserts of a key are in flight
    together, as Marketo requires. With ``createOnly`` and ``createDuplicate`` a row with an unknown outcome
    is never sent again: `reconcile` it.

    A call that fails as a whole is halved until it passes; a record that always fails is rejected alone. If
    Marketo does not know a field, the sink fetches the fields of the account once, and rejects further rows
    by the names of their columns, without a call.

    Args:
        marketo: an open client.
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead; it is the key of a row. ``id`` needs
            ``updateOnly``.
        fields: REST name in Marketo by column, or by the name of a `Lead`'s field. By default columns keep
            their names, and leads have `publitrac_async.marketo.STANDARD_FIELDS`.
        partition_name: partition of the leads. The same lead in another partition is another row.
        opt_in: REST names of consent fields of which a "no" is sent, too, see
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
        marketo: MarketoClient,
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
        self.destination: str = f"marketo {destination or marketo!r}"
        self.idempotent: bool = action in ("createOrUpdate", "updateOnly")
        self._marketo = marketo
        self._action: Action = action
        self._lookup_field = lookup_field
        self._partition_name = partition_name
        self._halver = Halver(self._call, idempotent=self.idempotent)
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
        """Send leads, in one call up to a megabyte; see `Sink.send`."""
        if self._lookup_field not in _LOOKUP_FIELDS:
            await self._fetch_schema()
        outcomes: list[PublitracError | None] = [self._unknown_field(each) for each in contents]
        wanted = [place for place, problem in enumerate(outcomes) if problem is None]
        chosen = [contents[place] for place in wanted]
        sent = await self._halver.send(chosen, parts([len(each) for each in chosen]))
        for place, outcome in zip(wanted, sent, strict=True):
            outcomes[place] = outcome
        return outcomes

    def queue_length(self) -> int:
        """Return the number of calls in the client's queue."""
        return self._marketo.queued

    async def _call(self, contents: Sequence[bytes]) -> Sequence[PublitracError | None]:
        try:
            results = await self._marketo.sync_leads(
                [PreparedLead(body) for body in contents],
                action=self._action,
                lookup_field=self._lookup_field,
                partition_name=self._partition_name,
                repeat_timeouts=len(contents) == 1,
            )
        except PublitracError as error:
            if error.code in _SETTINGS and not error.retryable:
                raise ConfigurationError(f"Marketo refuses the settings: {error.message}") from None
            # A later run may send a record that took too long; only this call was not repeated.
            error.retryable = error.retryable or error.code == _TOO_LONG
            raise
        errors = [each.error for each in results]
        if any(error is not None and error.code == _NO_FIELD for error in errors):
            await self._fetch_schema()
            errors = [self._named(error, body) for error, body in zip(errors, contents, strict=True)]
        return errors

    async def _fetch_schema(self) -> None:
        """Fetch the fields of the account once; without them Marketo checks each record.

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
            self._fields_of_account = frozenset(field.name for field in schema.fields)
            self._schema_fetched = True

    def _check_lookup_field(self, schema: LeadSchema) -> None:
        searchable = sorted({key[0] for key in schema.searchable_fields if len(key) == 1} - {"cookies"})
        if self._lookup_field not in searchable and self._lookup_field not in _LOOKUP_FIELDS:
            raise ConfigurationError(
                f"leads cannot be looked up by {self._lookup_field}, only by {', '.join(searchable)}"
            )

    def _unknown_field(self, body: bytes) -> ValidationError | None:
        """Return the error of a record with fields missing in the account, ``None`` if it has none."""
        if self._fields_of_account is None:
            return None
        unknown = PreparedLead(body).fields.keys() - self._fields_of_account
        problems = [Problem("a field does not exist", code=_NO_FIELD, field=name) for name in sorted(unknown)]
        if not problems:
            return None
        text = "; ".join(f"{each.field}: {each.reason}" for each in problems)
        return ValidationError(text, problems=problems, code=_NO_FIELD)

    def _named(self, error: PublitracError | None, body: bytes) -> PublitracError | None:
        """Add the names of missing fields to an error that names none."""
        if not isinstance(error, ValidationError) or error.code != _NO_FIELD:
            return error
        if any(problem.field for problem in error.problems):
            return error
        return self._unknown_field(body) or error


def marketo_record(row: Mapping[str, Any] | Lead, /, **settings: Any) -> Record[bytes]:
    """Transform a row into a record for Marketo, without a client.

    Args:
        row: the row.
        **settings: see `MarketoRecords`.

    Raises:
        ValidationError: the row cannot be sent; lists every problem.
    """
    return MarketoRecords(**settings)(row)


def load_marketo_mapping(path: str | Path, *, lookup_field: str = "email") -> dict[str, Any]:
    """Read a mapping of the fields of a lead to fields of Marketo.

    The file has the tables ``fields`` and ``custom_fields`` of a `ColumnMapping`, with REST names of Marketo
    in place of columns. Other fields are not sent. A table ``consent`` may set a field to ``"both"``: then a
    "no" is sent, too.

    Args:
        path: the file, TOML.
        lookup_field: REST name of the field that identifies a lead.

    Returns:
        Settings of a `MarketoSink`: `fields` and `opt_in`.

    Raises:
        MappingError: the file is unreadable or invalid, or lacks the field that identifies a lead.
    """
    mapping = ColumnMapping.load(path)
    columns, consent = mapping.columns, mapping.consent
    if mapping != ColumnMapping(columns=columns, consent=consent):
        raise MappingError(
            "a mapping to Marketo's fields has the tables fields, custom_fields and consent only"
        )
    targets = list(columns.values())
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise MappingError(f"{', '.join(twice)}: a field of Marketo can be mapped from one field only")
    if not all(_NAME.fullmatch(target) for target in targets):
        raise MappingError("the name of a field of Marketo is empty or invalid")
    if lookup_field == "email" and columns["email"] != "email":
        raise MappingError('the table fields must have email = "email": leads are looked up by it')
    if lookup_field not in targets:
        raise MappingError(f"no field is mapped to {lookup_field}: leads are looked up by it")
    return {
        "fields": {NATIVE_FIELDS.get(name, name): target for name, target in columns.items()},
        "opt_in": _opt_in(consent, columns),
    }


def _opt_in(consent: Mapping[str, str], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return the REST names of the consent fields of which a "no" is sent, too.

    Raises:
        MappingError: the table names a field that is not mapped to one.
    """
    unknown = sorted(name for name in consent if columns.get(name) not in CONSENT_FIELDS)
    if unknown:
        raise MappingError(f"consent: {', '.join(unknown)} is not mapped to a consent field of Marketo")
    return tuple(columns[name] for name, way in consent.items() if way == "both")
