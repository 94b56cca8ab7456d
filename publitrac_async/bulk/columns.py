"""Columns of a source, the fields they go to, and the conversion of their cells."""

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
_UNKNOWN: Final = object()
#: Converted cells to remember for each column.
_KNOWN: Final = 4000
#: Spreadsheets have numbers of 15 digits.
_EXACT: Final = 10**15
_NOTHING: Final[tuple[str, dict[str, Any]]] = ("", {})

ColumnKind: TypeAlias = Literal["native", "custom", "ignored"]
#: Converts a cell. Raises `ValueError` if the cell does not fit the field.
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
        words: values by cell, in lower case.
        clears: true if an empty cell clears the field.
        dates: true if the field is a date.
        code: true if the field is a text of digits, such as a phone number.
        one_way: true if the field is a flag of which only a "yes" is sent.
    """

    name: str
    kind: ColumnKind
    field: str | None = None
    note: str | None = None
    parse: CellParser = attrs.field(default=_AS_TEXT, repr=False)
    words: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    clears: bool = False
    dates: bool = False
    code: bool = False
    one_way: bool = False

    @property
    def converter(self) -> Converter:
        """Return the function that converts cells of this column."""
        parse, words, code = self.parse, self.words, self.code
        empty = CLEARED if self.clears else _UNSET
        # Numbers of typed sources are converted like text where a field is not text.
        typed = self.dates or FIELD_TYPES.get(self.field or "") in (Integer, Flag) or self.code

        def convert(cell: Any, notes: Notes) -> Any:
            if isinstance(cell, str):
                text = cell.strip(EDGES)
                if words and (word := words.get(text.casefold())) is not None:
                    if not isinstance(word, str):
                        return word
                    text = word
                value = parse(text, notes) if text else None
            elif isinstance(cell, dt.date):
                value = keep_day(cell)
            elif isinstance(cell, float) and not math.isfinite(cell):
                value = None
            elif typed and isinstance(cell, int | float) and not isinstance(cell, bool):
                if code and abs(cell) >= _EXACT:
                    notes.append("more than 15 digits: a spreadsheet rounds such a number")
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
        self._targets_of: dict[str, list[tuple[str, Converter, bool]]] = {}
        #: Field and values of cells that were converted, by column that goes to one field.
        self._repeated: dict[str, tuple[str, dict[str, Any]]] = {}
        #: Columns so far by field, and those that go to the same field.
        self._names_of: dict[str, list[str]] = {}
        self._rivals: dict[str, list[str]] = {}
        #: True while all names of custom fields can be sent.
        self._usable = True
        self._constants = self._converted_constants()
        self._both_ways = frozenset(name for name, way in self._settings.consent.items() if way == "both")

    def resolve(self, name: str) -> tuple[Column, ...]:
        """Return a column once for each field that it goes to."""
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
            SourceError: there is no column for the e-mail address, two columns go to the same field, or a
                column cannot be a custom field.
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
            text = "; ".join(f"{' and '.join(found)} both go to {name}" for name, found in twice.items())
            raise SourceError(f"{source}: {text}")
        if self._mapping is None and "email" not in by_field:
            raise SourceError(_no_email(source, names))
        unusable = [column.name for column in columns if column.kind == "custom" and _unusable(column.name)]
        if unusable and self._mapping is None:
            raise SourceError(
                f"{source}: {', '.join(map(repr, unusable))} cannot be the name of a custom field "
                f"({custom_name_problem(unusable[0])}). A mapping file gives each column its field, or "
                "leaves it out; --suggest-mapping writes one"
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
            # Most columns go to one field, and repeat few values.
            field, known = self._repeated.get(name, _NOTHING)
            value = known.get(cell, _UNKNOWN) if isinstance(cell, str) else _UNKNOWN
            if value is _UNKNOWN:
                self._convert_cell(name, cell, fields, problems)
            elif value is not _UNSET:
                fields[field] = value
        if problems:
            raise refusal(problems)
        if self._rivals:
            self._check_rivals(cells)
        fields.checked = self._usable and isinstance(fields.get("email"), str)
        return fields

    def _convert_cell(self, name: str, cell: Any, fields: Fields, problems: list[Problem]) -> None:
        """Convert a cell for each field that its column goes to, and remember the values of texts."""
        found: Notes = []
        targets = self._targets_of.get(name) or self._resolved_targets(name)
        for field, convert, one_way in targets:
            try:
                value = convert(cell, found)
            except ValueError as error:
                problems.append(Problem(str(error), code=_code(field), field=field, value=cell))
                continue
            if found:
                fields.notes += tuple((name, each) for each in found)
                found.clear()
            elif name in self._repeated and isinstance(cell, str) and value is not CLEARED:
                _, known = self._repeated[name]
                if len(known) < _KNOWN:
                    known[cell] = value
            if value is not _UNSET:
                fields.put(field, value, one_way=one_way)

    def _check_rivals(self, cells: Mapping[str, Any]) -> None:
        """Check that no two columns of a row go to the same field. Rows of JSON have no header to check.

        Raises:
            ValidationError: two columns do.
        """
        for field, names in self._rivals.items():
            if len(found := [name for name in names if name in cells]) > 1:
                problem = Problem(f"{' and '.join(found)} both go to it", field=field)
                raise refusal([problem])

    def resolved(self) -> list[Column]:
        """Return the columns seen so far."""
        return [column for columns in self._columns.values() for column in columns]

    def goes_to(self, name: str, field: str) -> bool:
        """Return True if a column goes to a field."""
        return any(column.field == field for column in self.resolve(name))

    def column_of(self, field_: str) -> str | None:
        """Return the column that goes to a field, of those that were resolved."""
        for name, columns in self._columns.items():
            if any(column.field == field_ for column in columns):
                return name
        return self._settings.columns.get(field_)

    def _resolved_targets(self, name: str) -> list[tuple[str, Converter, bool]]:
        if name not in self._targets_of:
            targets = [
                (column.field, column.converter, column.one_way)
                for column in self.resolve(name)
                if column.field is not None
            ]
            self._targets_of[name] = targets
            for field, _, _ in targets:
                names = self._names_of.setdefault(field, [])
                names.append(name)
                if len(names) > 1:
                    self._rivals[field] = names
            if len(targets) == 1 and not targets[0][2]:
                self._repeated[name] = (targets[0][0], {})
        return self._targets_of[name]

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
        self._usable = self._usable and (native or custom_name_problem(target) is None)
        similar = None
        if not native and self._mapping is None:
            similar = near_miss(target) or BY_SYNONYM.get(normalized(target))
        return Column(
            name=name,
            kind="native" if native else "custom",
            field=target,
            note=None if similar is None else f"did you mean {similar}?",
            parse=self._parser(target, kind, dates),
            words=settings.values.get(target, {}),
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


#: A phone number, date or id, as a row has them.
_NUMBER: Final = re.compile(r"[+(]*(?:\d[\s()./:-]*){5,}")


def _code(field: str) -> int | None:
    """Return the vendor's code for the same complaint."""
    if field == "email":
        return 9002
    kind = FIELD_TYPES.get(field)
    return 9006 if kind == Integer else 9007 if kind == Flag else None


def _number_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _unusable(name: str) -> bool:
    return custom_name_problem(strip(name)) is not None


def _no_email(source: str, names: Sequence[str]) -> str:
    similar = [name for name in names if "mail" in normalized(name) or "courriel" in normalized(name)]
    hint = " Is the delimiter another one, or has the file no header?" if len(names) == 1 else ""
    if not _is_header(names):
        return f"{source} has no column email; {list_columns(names)}"
    if similar and not hint:
        hint = f' A mapping file names it: [fields] email = "{similar[0]}".'
    hint = f" A mapping file names the column of each field.{hint}"
    return f"{source} has no column email; {list_columns(names)}.{hint}"


def list_columns(names: Sequence[str]) -> str:
    """Return the end of a sentence about a missing column; it quotes no personal data of a first row."""
    if not _is_header(names):
        return "the first line looks like a row: write a header above it"
    return f"it has {', '.join(names) or 'no columns'}"


def _is_header(names: Iterable[str]) -> bool:
    """Return False if a name holds an address or a number, as the cells of a row do."""
    return not any("@" in name or _NUMBER.fullmatch(name) for name in names)
