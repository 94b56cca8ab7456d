"""CSV, TSV and files with semicolons."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.formulas import restore
from publitrac_async.bulk.rows import EXTRA, RESERVED, Row, without_reserved
from publitrac_async.bulk.sources.file import TextFile, was_decoded


class DelimitedFile(TextFile):
    """A text file with one row a line, cells between delimiters and quotes around what needs them."""

    def __init__(self, path: Path, *, encoding: str, delimiter: str) -> None:
        super().__init__(path, encoding=encoding)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise SourceError("a delimiter is one character, and neither a quote nor a line break")
        self.delimiter: str | None = delimiter
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[Row]:
        with self._open_text() as file:
            # Strict: an open quote would otherwise swallow the rest of the file as one cell.
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            line = 1
            columns: list[str] | None = None
            try:
                for cells in reader:
                    start, line = line, reader.line_num + 1
                    if not cells:
                        continue
                    if columns is None:
                        columns = self._read_header(cells)
                        self.columns: list[str] = [name for name in columns if not name.startswith(RESERVED)]
                    else:
                        yield self._row(start, columns, cells)
            except csv.Error as error:
                raise SourceError(
                    f"{self.name}, line {line}: {error}; is a quote missing, or not doubled?"
                ) from None
            except UnicodeError:
                raise SourceError(f"{self.name}, near line {line}: {self._not_decoded()}") from None

    def _read_header(self, cells: list[str]) -> list[str]:
        columns = [cell.strip() for cell in cells]
        if not was_decoded("".join(columns)):
            raise SourceError(f"{self.name}, line 1: {self._not_decoded()}")
        if not all(columns):
            raise SourceError(f"{self.name}, line 1: column {columns.index('') + 1} has no name")
        repeated = {column for column in columns if columns.count(column) > 1}
        if repeated:
            raise SourceError(f"{self.name}, line 1: {', '.join(sorted(repeated))} stands there twice")
        return columns

    def _row(self, line: int, columns: list[str], cells: list[str]) -> Row:
        problem = None
        if not was_decoded("".join(cells)):
            problem = self._not_decoded()
        elif len(cells) > len(columns) and any(cells[len(columns) :]):
            problem = f"{len(cells)} cells for {len(columns)} columns"
        # Spreadsheet programs leave out empty cells at the end of a row.
        fields = without_reserved(zip(columns, map(restore, cells), strict=False))
        if problem is not None and len(cells) > len(columns):
            fields[EXTRA] = self._delimiter.join(cells[len(columns) :])
        return Row(line, fields, problem)
