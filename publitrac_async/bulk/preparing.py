"""From a row to a record: mapping and sink together, and what a dry run shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.mapping import ColumnMapping, field_name
from publitrac_async.bulk.rows import Item, Row, as_row
from publitrac_async.bulk.sinks import Prepared, as_lead, prepare_lead
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.errors import ValidationError
from publitrac_async.models import Lead


@frozen
class Preparer:
    """Makes rows into records, through a mapping if there is one.

    Attributes:
        prepare: of a sink, or `prepare_lead`.
        mapping: which column is which field.
    """

    prepare: Callable[[Mapping[str, Any] | Lead], Prepared[Any]] = prepare_lead
    mapping: ColumnMapping | None = None

    def __call__(self, fields: Mapping[str, Any] | Lead) -> Prepared[Any]:
        """The record of a row.

        Raises:
            ValidationError: it cannot be accepted.
        """
        return self.prepare(self._mapped(fields))

    def lead(self, fields: Mapping[str, Any] | Lead) -> Lead:
        """The lead of a row.

        Raises:
            ValidationError: values do not fit their field.
        """
        return as_lead(self._mapped(fields))

    def _mapped(self, fields: Mapping[str, Any] | Lead) -> Mapping[str, Any] | Lead:
        return fields if self.mapping is None or isinstance(fields, Lead) else self.mapping.apply(fields)

    def check_columns(self, source: object, first: Row) -> None:
        """Check the columns of a table by its first row, so that a wrong file is refused as a whole.

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
                f"{source.name} has no column email; it has {', '.join(columns)}. A mapping file can say "
                f"which column is which field.{hint}"
            )


@frozen
class Complaint:
    """One thing that is wrong with a row.

    Attributes:
        column: of the input, ``None`` if it concerns the row.
        reason: what is wrong, in words without personal data.
    """

    column: str | None
    reason: str


@frozen
class Examined:
    """A row as a dry run sees it.

    Attributes:
        line: of the input.
        record: what would be sent, ``None`` if the row would be rejected.
        complaints: why.
    """

    line: int
    record: Any
    complaints: tuple[Complaint, ...] = ()


def examine(source: Iterable[Item], preparer: Preparer) -> Iterator[Examined]:
    """Look at every row of a source without sending any.

    Raises:
        SourceError: the source cannot be read to its end.
        MappingError: it does not have the columns that the mapping names.
    """
    for number, item in enumerate(source, 1):
        row = as_row(item, number)
        if number == 1:
            preparer.check_columns(source, row)
        if row.problem is not None:
            yield Examined(row.line, None, (Complaint(None, row.problem),))
            continue
        try:
            yield Examined(row.line, preparer(row.fields).record)
        except ValidationError as error:
            complaints = tuple(
                Complaint(_column(problem.field, row, preparer.mapping), problem.reason)
                for problem in error.problems
            )
            yield Examined(row.line, None, complaints or (Complaint(None, error.message),))


def _column(name: str | None, row: Row, mapping: ColumnMapping | None) -> str | None:
    if name is None or mapping is not None:
        return mapping.column_of(name) if mapping is not None and name is not None else None
    if isinstance(row.fields, Lead):
        return name
    return next((column for column in row.fields if name in (column, field_name(column))), None)
