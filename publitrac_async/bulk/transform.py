"""From a row to a record, and the dry run that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.mapping import ColumnMapping, field_name
from publitrac_async.bulk.outcomes import code_of
from publitrac_async.bulk.rows import Item, Outcome, Row, StagedRow, State, as_row
from publitrac_async.bulk.sinks.base import Record
from publitrac_async.bulk.sinks.publitrac import as_lead, publitrac_record
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead


@frozen
class RowTransform:
    """Transforms rows into records: mapping first, then sink.

    Attributes:
        to_record: `Sink.to_record`, or `publitrac_record`.
        mapping: mapping of columns to fields, ``None`` if the columns are named like fields.
    """

    to_record: Callable[[Mapping[str, Any] | Lead], Record[Any]] = publitrac_record
    mapping: ColumnMapping | None = None

    def __call__(self, fields: Mapping[str, Any] | Lead) -> Record[Any]:
        """Return the record of a row.

        Raises:
            ValidationError: the row cannot be sent.
        """
        return self.to_record(self._mapped(fields))

    def stage(self, number: int, row: Row) -> StagedRow:
        """Return `row` with its key, hash and content, or with the reason for its rejection.

        Args:
            number: number of the row in the source, from 1.
            row: the row.
        """
        key, content_hash, content = None, None, None
        outcome = Outcome(State.PENDING)
        if row.problem is not None:
            outcome = Outcome(State.REJECTED, "unreadable row", row.problem)
        else:
            try:
                record = self(row.fields)
            except ValidationError as error:
                outcome = Outcome(State.REJECTED, "ValidationError", error.message, code_of(error))
            else:
                key, content_hash, content = record.key, record.content_hash, record.content
        return StagedRow(
            number=number,
            line=row.line,
            position=row.position,
            fields=row.fields,
            key=key,
            content_hash=content_hash,
            content=content,
            outcome=outcome,
        )

    def lead(self, fields: Mapping[str, Any] | Lead) -> Lead:
        """Return the lead of a row.

        Raises:
            ValidationError: a value does not fit its field.
        """
        return as_lead(self._mapped(fields))

    def _mapped(self, fields: Mapping[str, Any] | Lead) -> Mapping[str, Any] | Lead:
        return fields if self.mapping is None or isinstance(fields, Lead) else self.mapping.apply(fields)

    def check_columns(self, source: object, first: Row) -> None:
        """Check the columns of a table by its first row, to reject a wrong file as a whole.

        Raises:
            SourceError: no column is the e-mail address.
            MappingError: columns that the mapping names are missing.
        """
        if not isinstance(source, FileSource) or not source.tabular or isinstance(first.fields, Lead):
            return
        columns = source.columns or list(first.fields)
        if self.mapping is not None:
            self.mapping.check(columns)
        elif "email" not in map(field_name, columns):
            hint = " Is the delimiter another one?" if len(columns) == 1 else ""
            raise SourceError(
                f"{source.name} has no column email; it has {', '.join(columns)}. A mapping file can name "
                f"the column of each field.{hint}"
            )


@frozen
class CheckedRow:
    """A row of a dry run.

    Attributes:
        line: line of the source.
        content: what `Sink.send` would get, ``None`` if the row would be rejected.
        problems: reasons for the rejection; `Problem.field` is the column of the source.
    """

    line: int
    content: Any
    problems: tuple[Problem, ...] = ()


def dry_run(source: Iterable[Item], transform: RowTransform) -> Iterator[CheckedRow]:
    """Transform every row of a source and send nothing.

    Raises:
        SourceError: the source is unreadable.
        MappingError: the source lacks columns that the mapping names.
    """
    for number, item in enumerate(source, 1):
        row = as_row(item, number)
        if number == 1:
            transform.check_columns(source, row)
        if row.problem is not None:
            yield CheckedRow(row.line, None, (Problem(row.problem),))
            continue
        try:
            yield CheckedRow(row.line, transform(row.fields).content)
        except ValidationError as error:
            problems = tuple(
                evolve(problem, field=_column(problem.field, row, transform.mapping))
                for problem in error.problems
            )
            yield CheckedRow(row.line, None, problems or (Problem(error.message),))


def _column(name: str | None, row: Row, mapping: ColumnMapping | None) -> str | None:
    if name is None or mapping is not None:
        return mapping.column_of(name) if mapping is not None and name is not None else None
    if isinstance(row.fields, Lead):
        return name
    return next((column for column in row.fields if name in (column, field_name(column))), None)
