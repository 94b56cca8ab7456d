"""Records for Marketo: columns become fields of the same REST name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from publitrac_async.bulk.fields import Fields
from publitrac_async.bulk.sinks.base import OwnColumns, Record, hash_bytes
from publitrac_async.checks import refusal
from publitrac_async.errors import ConfigurationError, Problem, ValidationError
from publitrac_async.marketo import (
    CONSENT_FIELDS,
    STANDARD_FIELDS,
    Action,
    drop_missing_consent,
    to_marketo,
)
from publitrac_async.marketo.checks import address_problem, sync_check
from publitrac_async.marketo.records import ROOM, write_record
from publitrac_async.models import Lead, vendor_name

_ACTIONS: Final = ("createOrUpdate", "createOnly", "updateOnly", "createDuplicate")
#: REST name of a field.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: REST name of the fields that a mapping file names as PUBLITRAC does.
_BY_VENDOR_NAME: Final = {vendor_name(name): target for name, target in STANDARD_FIELDS.items()}


class MarketoRecords:
    """Transforms rows into records for Marketo.

    The name of a column is taken as the REST name of a field of Marketo; `fields` renames columns. After a
    `ColumnMapping`, a row has PUBLITRAC's names, and REST names as custom fields. Of a `Lead`, which has
    PUBLITRAC's fields, only those in `fields` are sent. Cells are stripped; empty cells are not sent. An
    opt-out is sent, its absence is not (`publitrac_async.marketo.CONSENT_FIELDS`).

    Args:
        action: see `MarketoClient.sync_leads`.
        lookup_field: REST name of the field that identifies a lead; its value is the key of a row.
        fields: REST name in Marketo by column, or by field of a `Lead`. By default columns keep their names,
            and leads have `STANDARD_FIELDS`.
        partition_name: partition of the leads. The same lead in another partition is another row.
        opt_in: REST names of consent fields that are sent for "no" as well as for "yes".

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
        if not NAME.fullmatch(lookup_field):
            raise ConfigurationError("lookup_field must be the REST name of a field")
        if lookup_field == "id" and action != "updateOnly":
            raise ConfigurationError("lookup_field id needs the action updateOnly: Marketo assigns the ids")
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
        self._settings = f"{action} {lookup_field} {self._partition}".encode()
        self.own_columns: OwnColumns = OwnColumns(
            frozenset({lookup_field} | self._columns_of(lookup_field)),
            {
                column.casefold(): field in self._opt_in
                for field in CONSENT_FIELDS
                for column in {field} | self._columns_of(field)
            },
        )

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
        for column, cell in row.items():
            value = cell
            if isinstance(cell, str):
                value = cell.strip()
                if not value:
                    continue
            elif cell is None or _is_missing(cell):
                continue
            name = self._field(column, mapped=mapped)
            if not NAME.fullmatch(name):
                problems.append(Problem("no field of Marketo can have this name: rename it", field=column))
                continue
            if name in record:
                problems.append(Problem(f"two columns for the field {name}", field=column))
            record[name] = value
        opt_in = self._opt_in
        if isinstance(row, Fields) and (row.cleared or row.both_ways):
            record |= dict.fromkeys((self._field(each, mapped=mapped) for each in row.cleared), None)
            opt_in |= {self._field(each, mapped=mapped) for each in row.both_ways}
        drop_missing_consent(record, opt_in)
        return record, problems

    def _field(self, column: str, *, mapped: bool) -> str:
        """Return the field that a column maps to; a row that was `mapped` has PUBLITRAC's names."""
        return self._columns.get(column, _BY_VENDOR_NAME.get(column, column) if mapped else column)

    def _refusal(self, problems: Sequence[Problem], row: Mapping[str, Any] | Lead) -> ValidationError:
        # The report names columns of the source.
        if isinstance(row, Lead):
            names = {target: vendor_name(source) for source, target in self._lead_fields.items()}
        else:
            names = {target: column for column, target in self._columns.items()}
        problems = [evolve(each, field=names.get(each.field or "", each.field)) for each in problems]
        return refusal(problems)


def _is_missing(value: Any) -> bool:
    """Return True for NaN, NaT and NA, the missing values of pandas."""
    if isinstance(value, float | datetime):
        return value != value  # noqa: PLR0124  (NaN differs from itself)
    return type(value).__name__ == "NAType"  # By name: pandas is not a dependency.


def marketo_record(row: Mapping[str, Any] | Lead, /, **settings: Any) -> Record[bytes]:
    """Transform a row into a record for Marketo, without a client.

    Args:
        row: the row.
        **settings: see `MarketoRecords`.

    Raises:
        ValidationError: the row cannot be sent; lists every problem.
    """
    return MarketoRecords(**settings)(row)
