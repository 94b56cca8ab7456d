"""The sink of Marketo: leads in batches of 300, with an outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from publitrac_async.bulk.errors import MappingError
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks import Prepared, digest
from publitrac_async.checks import email_problem
from publitrac_async.config import MARKETO_RECORDS
from publitrac_async.converters import NATIVE_FIELDS, lead_from_mapping
from publitrac_async.errors import Problem, PublitracError, ValidationError
from publitrac_async.marketo import STANDARD_FIELDS, Action, MarketoClient, RecordResult, to_marketo
from publitrac_async.marketo.building import record_problems
from publitrac_async.models import Lead, vendor_name


class MarketoLeads:
    """``marketo.sync_leads`` for every row, 300 in a call.

    Rows are what they are for PUBLITRAC; `fields` says what their fields are called in Marketo. Columns that
    are no fields of PUBLITRAC are sent under their own name, so they can be Marketo's REST names. Of a
    `Lead`, only what is in `fields` is sent.

    A run sends each key once, and the calls it makes have different keys, so no two upserts of a key are
    ever in flight together, as Marketo asks. With ``createOnly`` and ``createDuplicate`` a row whose outcome
    is unknown is never sent again: the ledger keeps it until `settle` says what became of it. Give
    `sync_leads` no more ``workers`` than the client has calls at once (5).

    Args:
        marketo: an open client.
        action: as `MarketoClient.sync_leads` takes it.
        lookup_field: REST name of the field that tells which lead is meant; it is the key of a row.
        fields: Marketo's REST name by the name of the lead's field here.
        partition_name: where leads are looked for and created.
        destination: name of the instance, so that a ledger is not used for another by mistake.
    """

    name = "marketo"
    acknowledges = State.OK
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
        self.repeatable: bool = action in ("createOrUpdate", "updateOnly")
        self._marketo = marketo
        self._action: Action = action
        self._lookup_field = lookup_field
        self._fields = fields
        self._partition_name = partition_name

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[dict[str, Any]]:
        """Make a row into a record, and check what needs no service.

        Raises:
            ValidationError: with every problem found.
        """
        return prepare_marketo_lead(
            fields, action=self._action, lookup_field=self._lookup_field, mapping=self._fields
        )

    async def send(self, records: Sequence[dict[str, Any]]) -> Sequence[PublitracError | None]:
        """Send leads, in one call unless they are larger than a megabyte together."""
        results: Sequence[RecordResult]
        failure: PublitracError | None = None
        try:
            results = await self._marketo.sync_leads(
                records,
                action=self._action,
                lookup_field=self._lookup_field,
                partition_name=self._partition_name,
            )
        except PublitracError as error:
            if not error.done:
                raise
            results, failure = error.done, error
        return [*(each.error for each in results), *[failure] * (len(records) - len(results))]


def prepare_marketo_lead(
    fields: Mapping[str, Any] | Lead,
    *,
    action: Action = "createOrUpdate",
    lookup_field: str = "email",
    mapping: Mapping[str, str] = STANDARD_FIELDS,
) -> Prepared[dict[str, Any]]:
    """Make a row into a record for Marketo, and check what needs no service.

    Args:
        fields: the row.
        action: as `MarketoClient.sync_leads` takes it.
        lookup_field: REST name of the field that tells which lead is meant.
        mapping: Marketo's REST name by the name of the lead's field here.

    Raises:
        ValidationError: with every problem found.
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
        # Whoever reads the report looks for the column.
        names = {target: vendor_name(source) for source, target in mapping.items()}
        problems = [evolve(each, field=names.get(each.field or "", each.field)) for each in problems]
        raise ValidationError("; ".join(map(str, problems)), problems=problems)
    return Prepared(str(key).casefold(), digest([action, lookup_field, record]), record)


def load_marketo_fields(path: str | Path) -> dict[str, str]:
    """Read a mapping file that says what the fields of a lead are called in Marketo.

    It has the tables ``fields`` and ``custom_fields`` of a `ColumnMapping`, with Marketo's REST names in
    place of columns. What it does not name is not sent.

    Returns:
        What `MarketoLeads` takes as `fields`.

    Raises:
        MappingError: it cannot be read, is not as described, or e-mail addresses, by which leads are looked
            up, would not arrive as Marketo's ``email``.
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
