"""Sink of Marketo: batches of 300 leads, an outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from publitrac_async.bulk.errors import MappingError
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks.base import Record, content_hash
from publitrac_async.checks import email_problem
from publitrac_async.config import MARKETO_RECORDS
from publitrac_async.converters import NATIVE_FIELDS, lead_from_mapping
from publitrac_async.errors import Problem, PublitracError, ValidationError
from publitrac_async.marketo import STANDARD_FIELDS, Action, MarketoClient, RecordResult, to_marketo
from publitrac_async.marketo.building import record_problems
from publitrac_async.models import Lead, vendor_name


class MarketoSink:
    """``marketo.sync_leads``: 300 rows per call.

    Rows look as for PUBLITRAC; `fields` names their fields in Marketo. Other columns are sent under their own
    name, so a column may have the REST name of a Marketo field. Of a `Lead`, only `fields` are sent.

    A run sends each key once, so no two upserts of a key are in flight together, as Marketo requires. With
    ``createOnly`` and ``createDuplicate`` a row with an unknown outcome is never sent again: `reconcile` it.
    Give `sync_leads` a ``concurrency`` of at most 5, the limit of the client.

    Args:
        marketo: an open client.
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead; it is the key of a row.
        fields: REST name in Marketo, by the name of the lead's field here.
        partition_name: partition of the leads.
        destination: name of the instance, so that a state store is not used for another instance.
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
        fields: Mapping[str, str] = STANDARD_FIELDS,
        partition_name: str | None = None,
        destination: str | None = None,
    ) -> None:
        self.destination: str = f"marketo {destination or marketo!r}"
        self.idempotent: bool = action in ("createOrUpdate", "updateOnly")
        self._marketo = marketo
        self._action: Action = action
        self._lookup_field = lookup_field
        self._fields = fields
        self._partition_name = partition_name

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[dict[str, Any]]:
        """Transform a row into a record; see `Sink.to_record`.

        Raises:
            ValidationError: the row cannot be sent; lists every problem.
        """
        return marketo_record(
            fields, action=self._action, lookup_field=self._lookup_field, mapping=self._fields
        )

    async def send(self, contents: Sequence[dict[str, Any]]) -> Sequence[PublitracError | None]:
        """Send leads, in one call up to a megabyte; see `Sink.send`."""
        results: Sequence[RecordResult]
        failure: PublitracError | None = None
        try:
            results = await self._marketo.sync_leads(
                contents,
                action=self._action,
                lookup_field=self._lookup_field,
                partition_name=self._partition_name,
            )
        except PublitracError as error:
            if not error.done:
                raise
            results, failure = error.done, error
        return [*(each.error for each in results), *[failure] * (len(contents) - len(results))]


def marketo_record(
    fields: Mapping[str, Any] | Lead,
    *,
    action: Action = "createOrUpdate",
    lookup_field: str = "email",
    mapping: Mapping[str, str] = STANDARD_FIELDS,
) -> Record[dict[str, Any]]:
    """Transform a row into a record for Marketo, without a client.

    Args:
        fields: the row.
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead.
        mapping: REST name in Marketo, by the name of the lead's field here.

    Raises:
        ValidationError: the row cannot be sent; lists every problem.
    """
    lead = fields if isinstance(fields, Lead) else lead_from_mapping(fields)
    record = to_marketo(lead, mapping)
    if lead is not fields:
        record |= {name: value for name, value in lead.custom_fields.items() if name not in mapping}
    problems = [*record_problems(record, action)]
    key = record.get(lookup_field)
    if lookup_field == "email":
        problem = email_problem(key)
        problems += [problem] if problem else []
    elif key is None or key == "":
        problems.append(Problem("is required, since leads are looked up by it", field=lookup_field))
    if problems:
        # The report names columns of the source.
        names = {target: vendor_name(source) for source, target in mapping.items()}
        problems = [evolve(each, field=names.get(each.field or "", each.field)) for each in problems]
        raise ValidationError("; ".join(map(str, problems)), problems=problems)
    return Record(str(key).casefold(), content_hash([action, lookup_field, record]), record)


def load_marketo_fields(path: str | Path) -> dict[str, str]:
    """Read a mapping of the fields of a lead to fields of Marketo.

    The file has the tables ``fields`` and ``custom_fields`` of a `ColumnMapping`, with REST names of Marketo
    in place of columns. Other fields are not sent.

    Returns:
        The `fields` of a `MarketoSink`.

    Raises:
        MappingError: the file is unreadable or invalid, or maps the e-mail address to another field than
            ``email``, by which leads are looked up.
    """
    mapping = ColumnMapping.load(path)
    columns = mapping.columns
    if mapping != ColumnMapping(columns=columns):
        raise MappingError("a mapping to Marketo's fields has the tables fields and custom_fields only")
    targets = list(columns.values())
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise MappingError(f"{', '.join(twice)}: a field of Marketo can come from one field only")
    if not all(targets):
        raise MappingError("the name of a field of Marketo is empty")
    if columns["email"] != "email":
        raise MappingError('the table fields must have email = "email": leads are looked up by it')
    return {NATIVE_FIELDS.get(name, name): target for name, target in columns.items()}
