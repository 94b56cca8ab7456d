"""Columns of a source, their fields, and the conversion of their cells."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs import frozen

from publitrac_async.bulk.cells import (
    EDGES,
    CellParser,
    Notes,
    keep_day,
    normalized,
    parse_code,
    parse_date,
    parse_email,
    parse_flag,
    parse_integer,
    parse_postal_code,
    parse_text,
    parse_text_or_date,
    strip,
)
from publitrac_async.bulk.errors import MappingError, SourceError
from publitrac_async.bulk.fields import CLEARED, Fields
from publitrac_async.bulk.mapping import BY_NORMALIZED, CONSENT_FIELDS, ColumnMapping, field_name, near_miss
from publitrac_async.bulk.synonyms import BY_SYNONYM
from publitrac_async.checks import custom_name_problem, refusal
from publitrac_async.converters import FIELD_TYPES, NATIVE_FIELDS
from publitrac_async.errors import Problem
from publitrac_async.models import Date, DateTime, Flag, Integer

#: Documented lengths ("List and description of all lead fields").
_LENGTHS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("firstName", "middleName", "lastName", "city", "state"), 50),
    **dict.fromkeys(("phone", "postalCode"), 25),
    "company": 75,
    **dict.fromkeys(("jobTitle", "token"), 100),
    "mailingAddress": 150,
    **dict.fromkeys(("leadSource", "originalSource", "originalSourceType", "keyword"), 200),
}
_CODES: Final = frozenset({"phone", "mobile", "fax", "crmLeadId", "customerId"})
_AS_TEXT: Final = parse_text()
_UNSET: Final = object()
_NOT_CACHED: Final = object()
#: Converted cells to cache for each column.
_CACHE_SIZE: Final = 4000
#: Spreadsheets keep 15 digits of a number.
_EXACT: Final = 10**15
_NO_CACHE: Final[tuple[str, dict[str, Any]]] = ("", {})

ColumnKind: TypeAlias = Literal["native", "custom", "ignored"]
#: Function that converts a cell. Raises `ValueError` if the cell does not fit the field.
Converter: TypeAlias = Callable[[Any, Notes], Any]


@frozen(kw_only=True)
class Column:
    """A column of a source.

    Attributes:
        name: name in the source.
        kind: ``"native"`` or ``"custom"`` field, or ``"ignored"``.
        field: vendor's name of the field, ``None`` if ignored.
        note: hint about the column, such as a similar native field.
        parse: converts the text of a cell.
        values: value by cell, in lower case.
        clears: true if an empty cell clears the field.
        dates: true if the field is a date.
        code: true if the field is a text of digits, such as a phone number.
        one_way: true if the field is a consent flag that is sent for "yes" only.
    """

    name: str
    kind: ColumnKind
    field: str | None = None
    note: str | None = None
    parse: CellParser = attrs.field(default=_AS_TEXT, repr=False)
    values: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    clears: bool = False
    dates: bool = False
    code: bool = False
    one_way: bool = False

    @property
    def converter(self) -> Converter:
        """Function that converts cells of this column."""
        parse, values, code = self.parse, self.values, self.code
        empty = CLEARED if self.clears else _UNSET
        # A number of a typed source is converted like text unless the field is a plain text.
        typed = self.dates or FIELD_TYPES.get(self.field or "") in (Integer, Flag) or self.code

        def convert(cell: Any, notes: Notes) -> Any:
            if isinstance(cell, str):
                text = cell.strip(EDGES)
                if values and (mapped := values.get(text.casefold())) is not None:
                    if not isinstance(mapped, str):
                        return mapped
                    text = mapped
                value = parse(text, notes) if text else None
            elif isinstance(cell, dt.date):
                value = keep_day(cell)
            elif isinstance(cell, float) and not math.isfinite(cell):
                value = None
            elif typed and isinstance(cell, int | float) and not isinstance(cell, bool):
                if code and abs(cell) >= _EXACT:
                    notes.append("more than 15 digits: spreadsheets round such numbers")
                value = parse(_number_text(cell), notes)
            else:
                value = cell
            return empty if value is None else value

        return convert


class Columns:
    """Resolves the columns of a source and converts their cells.

    Args:
        mapping: mapping of columns to fields; without one columns are named like fields, and all others are
            custom fields.

    Raises:
        MappingError: a constant does not fit its field.
    """

    def __init__(self, mapping: ColumnMapping | None = None) -> None:
        self._mapping = mapping
        self._settings = mapping or ColumnMapping(columns={}, other_columns="custom")
        self._targets: dict[str, list[str]] = {}
        for name, column in self._settings.columns.items():
            self._targets.setdefault(normalized(column), []).append(name)
        self._columns: dict[str, tuple[Column, ...]] = {}
        #: Field, converter, and true if only a "yes" is sent, by column.
        self._converters: dict[str, list[tuple[str, Converter, bool]]] = {}
        #: Field and converted values by cell, for each column that maps to a single field.
        self._cache: dict[str, tuple[str, dict[str, Any]]] = {}
        #: Columns by field so far, and those that share a field.
        self._columns_of: dict[str, list[str]] = {}
        self._conflicts: dict[str, list[str]] = {}
        #: True while the names of all custom fields are valid.
        self._names_are_valid = True
        self._constants = self._converted_constants()
        self._both_ways = frozenset(name for name, way in self._settings.consent.items() if way == "both")

    def resolve(self, name: str) -> tuple[Column, ...]:
        """Return a column once for each field that it maps to."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = self._resolved(name)
        return found

    def check(self, names: Sequence[str], source: str) -> list[Column]:
        """Check the columns of a table.

        Args:
            names: names of all columns, in order.
            source: name of the source, for errors.

        Returns:
            The columns.

        Raises:
            SourceError: there is no column for the e-mail address, two columns map to the same field, or the
                name of a column is not valid for a custom field.
            MappingError: columns that the mapping names are missing.
        """
        columns = [column for name in names for column in self.resolve(name)]
        self._check_missing(names)
        by_field: dict[str, list[str]] = {}
        for column in columns:
            if column.field is not None:
                by_field.setdefault(column.field, []).append(column.name)
        twice = {name: found for name, found in by_field.items() if len(found) > 1}
        if twice:
            text = "; ".join(f"{' and '.join(found)} both map to {name}" for name, found in twice.items())
            raise SourceError(f"{source}: {text}")
        if self._mapping is None and "email" not in by_field:
            raise SourceError(_no_email(source, names))
        invalid = [column.name for column in columns if column.kind == "custom" and _is_invalid(column.name)]
        if invalid and self._mapping is None:
            raise SourceError(
                f"{source}: {', '.join(map(repr, invalid))} cannot be the name of a custom field "
                f"({custom_name_problem(invalid[0])}). Map the column to a field, or leave it out, in a "
                "mapping file; --suggest-mapping writes one"
            )
        return columns

    def convert(self, cells: Mapping[str, Any]) -> Fields:
        """Convert the cells of a row.

        Raises:
            ValidationError: cells do not fit their fields; lists all of them.
        """
        fields = Fields(self._constants)
        fields.mapped, fields.both_ways = True, self._both_ways
        problems: list[Problem] = []
        for name, cell in cells.items():
            # Most columns map to one field, and repeat few values. Converted anew they take twice as long.
            field, cached = self._cache.get(name, _NO_CACHE)
            value = cached.get(cell, _NOT_CACHED) if isinstance(cell, str) else _NOT_CACHED
            if value is _NOT_CACHED:
                self._convert_cell(name, cell, fields, problems)
            elif value is not _UNSET:
                fields[field] = value
        if problems:
            raise refusal(problems)
        if self._conflicts:
            self._check_conflicts(cells)
        fields.checked = self._names_are_valid and isinstance(fields.get("email"), str)
        return fields

    def _convert_cell(self, name: str, cell: Any, fields: Fields, problems: list[Problem]) -> None:
        """Convert a cell for each field that its column maps to, and cache the values of texts."""
        found: Notes = []
        for field, convert, one_way in self._converters.get(name) or self._resolved_converters(name):
            try:
                value = convert(cell, found)
            except ValueError as error:
                problems.append(Problem(str(error), code=_code(field), field=field, value=cell))
                continue
            if found:
                fields.notes += tuple((name, each) for each in found)
                found.clear()
            elif name in self._cache and isinstance(cell, str) and value is not CLEARED:
                _, cached = self._cache[name]
                if len(cached) < _CACHE_SIZE:
                    cached[cell] = value
            if value is not _UNSET:
                fields.put(field, value, one_way=one_way)

    def _check_conflicts(self, cells: Mapping[str, Any]) -> None:
        """Check that no two columns of a row map to the same field. Rows of JSON have no header to check.

        Raises:
            ValidationError: two columns map to the same field.
        """
        for field, names in self._conflicts.items():
            if len(found := [name for name in names if name in cells]) > 1:
                problem = Problem(f"{' and '.join(found)} both map to it", field=field)
                raise refusal([problem])

    def resolved(self) -> list[Column]:
        """Return the columns seen so far."""
        return [column for columns in self._columns.values() for column in columns]

    def maps_to(self, name: str, field: str) -> bool:
        """Return True if a column maps to a field."""
        return any(column.field == field for column in self.resolve(name))

    def column_of(self, field_: str) -> str | None:
        """Return the column that maps to a field, ``None`` if unknown."""
        for name, columns in self._columns.items():
            if any(column.field == field_ for column in columns):
                return name
        return self._settings.columns.get(field_)

    def _resolved_converters(self, name: str) -> list[tuple[str, Converter, bool]]:
        if name not in self._converters:
            converters = [
                (column.field, column.converter, column.one_way)
                for column in self.resolve(name)
                if column.field is not None
            ]
            self._converters[name] = converters
            for field, _, _ in converters:
                names = self._columns_of.setdefault(field, [])
                names.append(name)
                if len(names) > 1:
                    self._conflicts[field] = names
            if len(converters) == 1 and not converters[0][2]:
                self._cache[name] = (converters[0][0], {})
        return self._converters[name]

    def _resolved(self, name: str) -> tuple[Column, ...]:
        if not strip(name):
            return (Column(name=name, kind="ignored", note="the column has no name"),)
        targets = self._targets.get(normalized(name))
        if targets is not None:
            exact = [target for target in targets if self._settings.columns[target] == name]
            return tuple(self._column(name, target) for target in exact or targets)
        if self._settings.other_columns == "ignore":
            return (Column(name=name, kind="ignored"),)
        native = BY_NORMALIZED.get(normalized(name))
        if native is not None and native not in self._settings.columns:
            return (self._column(name, native),)
        return (self._column(name, strip(name)),)

    def _column(self, name: str, target: str) -> Column:
        settings = self._settings
        native = target in NATIVE_FIELDS
        dates = settings.date_formats.get(target)
        kind = FIELD_TYPES.get(target)
        one_way = target in CONSENT_FIELDS and settings.consent.get(target) != "both"
        self._names_are_valid = self._names_are_valid and (native or custom_name_problem(target) is None)
        similar = None
        if not native and self._mapping is None:
            similar = near_miss(target) or BY_SYNONYM.get(normalized(target))
        return Column(
            name=name,
            kind="native" if native else "custom",
            field=target,
            note=None if similar is None else f"did you mean {similar}?",
            parse=self._parser(target, kind, dates),
            values=settings.values.get(target, {}),
            clears=settings.empty_by_field.get(target, settings.empty) == "clear" and target != "email",
            dates=dates is not None or kind in (Date, DateTime),
            code=target in _CODES or target == "postalCode",
            one_way=one_way,
        )

    def _parser(self, target: str, kind: Any, dates: tuple[str, ...] | None) -> CellParser:
        if target == "email":
            return parse_email
        if dates is not None or kind in (Date, DateTime):
            return parse_date(dates or self._settings.dates)
        if kind == Integer:
            return parse_integer(self._settings.decimals)
        if kind == Flag:
            return parse_flag
        limit = _LENGTHS.get(target)
        if target in _CODES:
            return parse_code(limit)
        if target == "postalCode":
            return parse_postal_code(limit)
        formats = [each for each in self._settings.dates if "%" in each]
        if target not in NATIVE_FIELDS and formats:
            return parse_text_or_date(formats)
        return parse_text(limit)

    def _check_missing(self, names: Iterable[str]) -> None:
        present = {normalized(name) for name in names}
        missing = sorted(
            column for column in set(self._settings.columns.values()) if normalized(column) not in present
        )
        if missing:
            raise MappingError(f"the source has no column {', '.join(missing)}; {list_columns(list(names))}")

    def _converted_constants(self) -> dict[str, Any]:
        converted = {}
        for name, value in self._settings.constants.items():
            column = self._column(name, field_name(name))
            try:
                found = column.converter(value, [])
            except ValueError as error:
                raise MappingError(f"constants.{name}: {error}") from None
            if found not in (_UNSET, CLEARED):
                converted[field_name(name)] = found
        return converted


#: A phone number, date or id: a cell, not the name of a column.
_NUMBER: Final = re.compile(r"[+(]*(?:\d[\s()./:-]*){5,}")


def _code(field: str) -> int | None:
    """Return the vendor's error code for an invalid value of the field."""
    if field == "email":
        return 9002
    kind = FIELD_TYPES.get(field)
    return 9006 if kind == Integer else 9007 if kind == Flag else None


def _number_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_invalid(name: str) -> bool:
    return custom_name_problem(strip(name)) is not None


def _no_email(source: str, names: Sequence[str]) -> str:
    similar = [name for name in names if "mail" in normalized(name) or "courriel" in normalized(name)]
    hint = " Check the delimiter, and that the file has a header." if len(names) == 1 else ""
    if not _is_header(names):
        return f"{source} has no column email; {list_columns(names)}"
    if similar and not hint:
        hint = f' For example: [fields] email = "{similar[0]}".'
    return (
        f"{source} has no column email; {list_columns(names)}. "
        f"Name the column of each field in a mapping file.{hint}"
    )


def list_columns(names: Sequence[str]) -> str:
    """Return the end of a sentence about a missing column. It does not quote a row instead of a header."""
    if not _is_header(names):
        return "the first line looks like a row: add a header above it"
    return f"it has {', '.join(names) or 'no columns'}"


def _is_header(names: Iterable[str]) -> bool:
    """Return False if a name holds an address or a number, as the cells of a row do."""
    return not any("@" in name or _NUMBER.fullmatch(name) for name in names)
