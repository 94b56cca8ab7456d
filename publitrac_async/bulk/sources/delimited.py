"""CSV, TSV and files with semicolons."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.formulas import restore
from publitrac_async.bulk.rows import EXTRA, RESERVED, Row, without_reserved
from publitrac_async.bulk.sources.file import TextFile, was_decoded
from publitrac_async.bulk.sources.lines import ByteLines, Lines, TextLines

if TYPE_CHECKING:
    from _csv import Reader


class DelimitedFile(TextFile):
    """A text file with one row a line, cells between delimiters and quotes around what needs them."""

    kind: ClassVar[str | None] = "delimited"

    def __init__(self, path: Path, *, encoding: str, delimiter: str) -> None:
        super().__init__(path, encoding=encoding)
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise SourceError("a delimiter is one character, and neither a quote nor a line break")
        self.delimiter: str | None = delimiter
        self._delimiter = delimiter
        before = (
            delimiter.encode(self._encoding.removesuffix("-sig"), "replace") if self._has_byte_lines else b""
        )
        #: What stands before a cell, and a single quote with which it begins.
        self._quoted = [each + b"'" for each in (before, b'"', b"\n", b"\r")]

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "delimiter": self._delimiter}

    def __iter__(self) -> Iterator[Row]:
        with self._open_lines() as file:
            yield from self._rows(file, None)

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a place in the file.

        Args:
            position: `Row.position` of the first.
            line: `Row.line` of the first.
            count: how many, unless the file ends before.

        Raises:
            SourceError: the file cannot be read there.
        """
        with self._open_lines() as file:
            yield from islice(self._rows(file, (position, line)), count)

    def _rows(self, file: IO[Any], place: tuple[int, int] | None) -> Iterator[Row]:
        """The rows behind the header, or those from a place on: a byte and the number of the line there."""
        lines = self._lines(file)
        reader = self._reader(lines)
        line, columns = 1, None
        try:
            for cells in reader:
                line = lines.first + reader.line_num
                if cells:
                    columns = self._read_header(cells)
                    break
            if columns is None:
                return
            self.columns: list[str] = [name for name in columns if not name.startswith(RESERVED)]
            # More cells than this are looked at one by one. So are all if columns are to be left out.
            width = len(columns) if columns == self.columns else -1
            if place is not None:
                start, line = place
                file.seek(start)
                lines = self._lines(file, start, line)
                reader = self._reader(lines)
            end = lines.position(line)
            for cells in reader:
                start, line = line, lines.first + reader.line_num
                position, end = end, lines.position(line)
                if not cells:
                    continue
                if start > lines.careful and len(cells) <= width:
                    # Spreadsheet programs leave out empty cells at the end of a row.
                    yield Row(start, dict(zip(columns, cells, strict=False)), None, position)
                else:
                    yield self._row(start, position, columns, cells)
        except csv.Error as error:
            raise SourceError(
                f"{self.name}, line {line}: {error}; is a quote missing, or not doubled?"
            ) from None
        except UnicodeError:
            raise SourceError(f"{self.name}, near line {line}: {self._not_decoded()}") from None

    def _reader(self, lines: Lines) -> Reader:
        # Strict: an open quote would otherwise swallow the rest of the file as one cell.
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _lines(self, file: IO[Any], position: int = 0, line: int = 1) -> Lines:
        if not self._has_byte_lines:
            return TextLines(file)
        return ByteLines(file, self._encoding, position=position, first=line, suspicious=self._has_quotes)

    def _has_quotes(self, block: bytes) -> bool:
        """Whether a cell may begin with the single quote that `restore` takes away."""
        return b"'" in block and (block.startswith(b"'") or any(each in block for each in self._quoted))

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

    def _row(self, line: int, position: int | None, columns: list[str], cells: list[str]) -> Row:
        problem = None
        if not was_decoded("".join(cells)):
            problem = self._not_decoded()
        elif len(cells) > len(columns) and any(cells[len(columns) :]):
            problem = f"{len(cells)} cells for {len(columns)} columns"
        fields = without_reserved(zip(columns, map(restore, cells), strict=False))
        if problem is not None and len(cells) > len(columns):
            fields[EXTRA] = self._delimiter.join(cells[len(columns) :])
        return Row(line, fields, problem, position)
