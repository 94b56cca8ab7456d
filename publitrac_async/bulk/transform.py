"""Transform rows into records; dry run.

A source reads a row (`bulk/sources`), `Columns` converts its cells to fields (`bulk/columns.py`), the sink
makes the record. `as_lead` in `bulk/sinks/publitrac.py` makes a lead of fields; v2 writes checked fields as
JSON without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import Factory, define, evolve, field, frozen

from publitrac_async.bulk.cells import normalized, parse_flag, strip
from publitrac_async.bulk.columns import Column, Columns, list_columns
from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.fields import Fields
from publitrac_async.bulk.mapping import CONSENT_FIELDS, ColumnMapping
from publitrac_async.bulk.outcomes import code_of
from publitrac_async.bulk.rows import Block, Item, Line, Outcome, Row, StagedRow, State, as_row
from publitrac_async.bulk.sinks.base import OwnColumns, Record
from publitrac_async.bulk.sinks.publitrac import as_lead, publitrac_record
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.files import Files
from publitrac_async.checks import refusal
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead

_EXAMPLES: Final = 3
#: Characters that a key may not have: SQLite may end text at a NUL, and surrogates have no UTF-8.
_NO_KEY: Final = re.compile("[\0\ud800-\udfff]")


@define
class CellWarning:
    """Cells of a column that look damaged in the same way. They are sent unchanged.

    Attributes:
        column: name of the column.
        kind: description of the damage.
        count: number of cells.
        lines: lines of the first of them.
    """

    column: str
    kind: str
    count: int = 0
    lines: list[Line] = field(factory=list)


@define
class CellNotes:
    """Counts of damaged cells and withheld consent flags in a source.

    Attributes:
        withheld: number of rows whose "no" is not sent, by consent flag.
    """

    withheld: dict[str, int] = field(factory=dict)
    _warnings: dict[tuple[str, str], CellWarning] = field(factory=dict)

    def add(self, line: Line, fields: Fields) -> None:
        """Count the notes of a row."""
        for name in fields.withheld:
            self.withheld[name] = self.withheld.get(name, 0) + 1
        for column, kind in fields.notes:
            warning = self._warnings.setdefault((column, kind), CellWarning(column, kind))
            warning.count += 1
            if len(warning.lines) < _EXAMPLES:
                warning.lines.append(line)

    @property
    def warnings(self) -> list[CellWarning]:
        """Warnings, the most frequent first."""
        return sorted(self._warnings.values(), key=lambda each: -each.count)


def _columns(transform: RowTransform) -> Columns:
    return Columns(transform.mapping)


@frozen
class RowTransform:
    """Transforms rows into records: columns first, then sink.

    Attributes:
        to_record: `Sink.to_record`, or `publitrac_record`.
        mapping: mapping of columns to fields, ``None`` if the columns are named like fields.
        strict: true if cells that look damaged reject their row.
        own_columns: columns of a sink with other fields than PUBLITRAC's, ``None`` for fields of PUBLITRAC.
        columns: the columns of the source.
        notes: notes about cells.
    """

    to_record: Callable[[Mapping[str, Any] | Lead], Record[Any]] = publitrac_record
    mapping: ColumnMapping | None = None
    strict: bool = False
    own_columns: OwnColumns | None = None
    columns: Columns = field(init=False, repr=False, default=Factory(_columns, takes_self=True))
    notes: CellNotes = field(init=False, repr=False, factory=CellNotes)

    @property
    def _keeps_columns(self) -> bool:
        return self.own_columns is not None and self.mapping is None

    def __call__(self, row: Row, opt_outs: Sequence[str] = ()) -> tuple[Record[Any], Sequence[str]]:
        """Return the record of a row, and its opt-outs.

        Args:
            row: the row.
            opt_outs: consent flags set by other rows with the same key.

        Raises:
            ValidationError: the row is unreadable, or cannot be sent.
        """
        if row.problem is not None:
            raise refusal([Problem(row.problem)])
        fields = self._converted(row.fields)
        if isinstance(fields, Lead):
            changes: dict[str, Any] = {NATIVE_FIELDS[name]: True for name in opt_outs}
            fields = evolve(fields, **changes) if changes else fields
            found = [name for name in CONSENT_FIELDS if getattr(fields, NATIVE_FIELDS[name]) in (True, 1)]
            return _checked(self.to_record(fields)), found
        if self.strict and fields.notes:
            raise refusal([Problem(kind, field=column) for column, kind in fields.notes])
        if opt_outs:  # The row is transformed again; its notes were counted the first time.
            fields.update(dict.fromkeys(opt_outs, True))
        elif fields.notes or fields.withheld:
            self.notes.add(row.line, fields)
        return _checked(self.to_record(fields)), self._opt_outs(fields)

    def stage(self, number: int, row: Row, opt_outs: Sequence[str] = ()) -> StagedRow:
        """Return `row` with its key, hash and content, or with the reason for its rejection.

        Args:
            number: number of the row in the source, from 1.
            row: the row.
            opt_outs: consent flags set by other rows with the same key.
        """
        staged = StagedRow(number=number, line=row.line, position=row.position, fields=row.fields)
        try:
            record, found = self(row, opt_outs)
        except ValidationError as error:
            staged.outcome = _rejection(row, error)
        else:
            staged.key, staged.content_hash, staged.content = record.key, record.content_hash, record.content
            staged.opt_outs = tuple(found)
        return staged

    def block(self, first: int, rows: Iterable[Row]) -> Block:
        """Return rows with their keys, hashes and contents, or with the reasons for their rejection.

        Args:
            first: number of the first row in the source, from 1.
            rows: the rows.
        """
        block = Block(first)
        for number, row in enumerate(rows, first):
            block.lines.append(row.line)
            block.positions.append(row.position)
            block.fields.append(row.fields)
            try:
                record, opt_outs = self(row)
            except ValidationError as error:
                block.rejected.append((number, _rejection(row, error)))
                block.keys.append(None)
                block.content_hashes.append(None)
                block.contents.append(None)
                continue
            block.keys.append(record.key)
            block.content_hashes.append(record.content_hash)
            block.contents.append(record.content)
            if opt_outs:
                block.opt_outs.append((number, opt_outs))
        return block

    def lead(self, fields: Mapping[str, Any] | Lead) -> Lead:
        """Return the lead of a row.

        Raises:
            ValidationError: a value does not fit its field.
        """
        return as_lead(self._converted(fields))

    def _check_key(self, names: Sequence[str], source: str) -> None:
        """Check that a table has a column that identifies its leads.

        Raises:
            SourceError: it has none.
        """
        wanted = self.own_columns.keys if self.own_columns is not None else frozenset[str]()
        if wanted.isdisjoint(map(strip, names)):
            raise SourceError(f"{source} has no column {' or '.join(sorted(wanted))}; {list_columns(names)}")

    def _converted(self, fields: Mapping[str, Any] | Lead) -> Fields | Lead:
        if isinstance(fields, Lead):
            return fields
        return self._kept(fields) if self._keeps_columns else self.columns.convert(fields)

    def _kept(self, row: Mapping[str, Any]) -> Fields:
        """Return a row with its columns unchanged; only consent flags are converted.

        Raises:
            ValidationError: a consent flag is neither yes nor no.
        """
        fields = Fields(row)
        for name in self._consent_columns(row):
            both_ways, cell = self._both_ways(name), row[name]
            if both_ways is None:
                continue
            if isinstance(cell, str) and (text := strip(cell)):
                try:
                    fields[name] = parse_flag(text, [])
                except ValueError as error:
                    raise ValidationError(
                        f"{name}: {error}", problems=[Problem(str(error), field=name)]
                    ) from None
            if not both_ways and fields[name] in (False, 0):
                fields.withheld += (name,)
                del fields[name]
        return fields

    def _opt_outs(self, fields: Mapping[str, Any]) -> list[str]:
        """Return the consent flags that are set."""
        return [name for name in self._consent_columns(fields) if _is_yes(fields[name])]

    def _consent_columns(self, fields: Mapping[str, Any]) -> Sequence[str]:
        """Return the consent flags among the columns or fields of a row."""
        return [name for name in fields if name in CONSENT_FIELDS or self._both_ways(name) is not None]

    def _both_ways(self, name: str) -> bool | None:
        """Return True if a "no" in an own consent column is sent as well, ``None`` for other columns."""
        return None if self.own_columns is None else self.own_columns.consent.get(name.casefold())

    def check_columns(self, source: object, first: Row | None) -> list[Column]:
        """Check the columns of a table, to reject a wrong file as a whole.

        Args:
            source: the source.
            first: its first row, ``None`` if it has no rows.

        Returns:
            The columns; empty if the source is not a table.

        Raises:
            SourceError: no column has the e-mail address, or columns contradict each other.
            MappingError: columns that the mapping names are missing.
        """
        if not isinstance(source, FileSource) or not source.tabular:
            return []
        names = source.columns
        if not names and first is not None and not isinstance(first.fields, Lead):
            names = list(first.fields)
        if not names:
            raise SourceError(f"{source.name} is empty: it has no header")
        if self._keeps_columns:
            self._check_key(names, source.name)
            return []
        try:
            return self.columns.check(names, source.name)
        except SourceError as error:
            if (hint := _header_hint(first)) is None:
                raise
            raise SourceError(f"{error.message} {hint}") from None


class ColumnCheck:
    """Checks the columns of a source, file by file, before the first row of each.

    Args:
        transform: transform of the rows.
        source: the source.
    """

    def __init__(self, transform: RowTransform, source: object) -> None:
        self._transform = transform
        self._source = source
        self._files = source if isinstance(source, Files) else None
        self._checked: list[object] = []

    def before(self, row: Row) -> None:
        """Check the columns of the file that is being read.

        Raises:
            SourceError: columns are missing, or contradict each other.
            MappingError: columns that the mapping names are missing.
        """
        current = self._files.begun[-1] if self._files is not None else self._source
        if not self._checked or self._checked[-1] is not current:
            self._check(current, row)

    def at_end(self) -> None:
        """Check the columns of files without rows.

        Raises:
            SourceError: columns are missing, or contradict each other.
            MappingError: columns that the mapping names are missing.
        """
        for each in self._files.begun if self._files is not None else [self._source]:
            if each not in self._checked:
                self._check(each, None)

    def _check(self, source: object, first: Row | None) -> None:
        self._checked.append(source)
        self._transform.check_columns(source, first)


@frozen
class CheckedRow:
    """A row of a dry run.

    Attributes:
        line: see `Row.line`.
        content: argument for `Sink.send`, ``None`` if the row would be rejected.
        problems: reasons for the rejection; `Problem.field` is the column of the source.
    """

    line: Line
    content: Any
    problems: tuple[Problem, ...] = ()


def dry_run(
    items: Iterable[Item], transform: RowTransform, source: object | None = None
) -> Iterator[CheckedRow]:
    """Transform every row without sending any. At the end `RowTransform.notes` has the warnings.

    Args:
        items: the source, or its rows.
        transform: transforms rows into records.
        source: the source, if `items` are its rows.

    Raises:
        SourceError: the source is unreadable, or a table without rows.
        MappingError: the source lacks columns that the mapping names.
    """
    check = ColumnCheck(transform, items if source is None else source)
    for number, item in enumerate(items, 1):
        row = as_row(item, number)
        check.before(row)
        try:
            yield CheckedRow(row.line, transform(row)[0].content)
        except ValidationError as error:
            problems = tuple(
                evolve(problem, field=_column(problem.field, transform)) for problem in error.problems
            )
            yield CheckedRow(row.line, None, problems or (Problem(error.message),))
    check.at_end()


def _header_hint(first: Row | None) -> str | None:
    """Return a hint if the first row looks like the header: a title may precede it."""
    if first is None or not isinstance(first.fields, Mapping):
        return None
    cells = [cell for cell in first.fields.values() if isinstance(cell, str)]
    words = [word for cell in cells for word in re.split("[,;\t|]", cell)]
    if any("mail" in normalized(word) and "@" not in word for word in words):
        return f"Line {first.line} looks like the header: try --header {first.line}."
    return None


def _checked(record: Record[Any]) -> Record[Any]:
    """Return the record if a state store can tell its key from all others.

    Raises:
        ValidationError: it cannot.
    """
    if not _NO_KEY.search(record.key):
        return record
    problem = Problem("the key of the row holds a NUL or a lone surrogate")
    raise ValidationError(problem.reason, problems=[problem])


def _rejection(row: Row, error: ValidationError) -> Outcome:
    kind = "ValidationError" if row.problem is None else "unreadable row"
    return Outcome(State.REJECTED, kind, error.message, code_of(error))


def _is_yes(value: Any) -> bool:
    if isinstance(value, str):
        with suppress(ValueError):
            return parse_flag(strip(value), [])
        return False
    return value in (True, 1)


def _column(name: str | None, transform: RowTransform) -> str | None:
    return None if name is None else transform.columns.column_of(name) or name
