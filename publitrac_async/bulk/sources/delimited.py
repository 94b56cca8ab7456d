"""Read CSV, TSV and other delimited text files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from attrs import define

from publitrac_async.bulk.cells import strip
from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.formulas import restore
from publitrac_async.bulk.rows import EXTRA, Row, without_reserved
from publitrac_async.bulk.sources.detect import PROBE, detect_format
from publitrac_async.bulk.sources.file import TextFile, was_decoded
from publitrac_async.bulk.sources.lines import ByteLines, Lines, TextLines, blocks

if TYPE_CHECKING:
    from _csv import Reader


#: Longest cell in characters. The csv module has one limit for the whole process, by default 131,072.
_LONGEST_CELL: Final = 1024 * 1024
csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))


@define
class _Cursor:
    """Position of the next row in bytes, ``None`` if unknown, and its line.

    `moved` is true after a jump: reading has to start again from the position.
    """

    position: int | None
    line: int
    moved: bool = False


class DelimitedFile(TextFile):
    """Text file with one row per line, delimiters between cells, and quotes around cells that need them.

    A byte order mark sets the encoding, and a first line ``sep=;`` the delimiter.

    Args:
        path: path of the file.
        encoding: encoding of a file without a byte order mark.
        delimiter: delimiter; ``None`` detects it from the header.
        default: delimiter to prefer when detecting.
        header: number of the header line, ``None`` for the first that is not blank.
    """

    kind: ClassVar[str | None] = "delimited"

    def __init__(
        self,
        path: Path,
        *,
        encoding: str,
        delimiter: str | None,
        default: str = ",",
        header: int | None = None,
    ) -> None:
        super().__init__(path, encoding=encoding)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise SourceError("the delimiter must be one character other than a quote or line break")
        self.delimiter: str | None = delimiter
        self._declared = delimiter
        self._default = default
        self._delimiter = default
        self._header = header
        self._header_line = 1
        self._quoted: list[bytes] = []

    def _options(self) -> dict[str, Any]:
        self._detect()
        return {**super()._options(), "delimiter": self._delimiter, "header": self._header}

    def _detect(self) -> None:
        """Detect encoding and delimiter from the start of the file."""
        start = self._read_start(PROBE)
        found = detect_format(start, self._encoding, self._declared, self._default, self._header)
        self._set_encoding(found.encoding)
        self.delimiter = self._delimiter = found.delimiter
        self._header_line = found.header
        before = (
            self._delimiter.encode(self._encoding.removesuffix("-sig"), "replace")
            if self._has_byte_lines
            else b""
        )
        #: Each sequence of bytes that may precede a cell, with the cell's leading single quote.
        self._quoted = [each + b"'" for each in (before, b'"', b"\n", b"\r")]

    def __iter__(self) -> Iterator[Row]:
        self._detect()
        with self._open_lines() as file:
            yield from self._rows(file, None)

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a position; see `Seekable.rows_from`.

        Raises:
            SourceError: the file cannot be read from there.
        """
        self._detect()
        with self._open_lines() as file:
            yield from islice(self._rows(file, (position, line)), count)

    def _rows(self, file: IO[Any], start: tuple[int, int] | None) -> Iterator[Row]:
        """Iterate over the rows after the header, or from a start: position in bytes, and line there."""
        lines = self._lines(file)
        reader = self._reader(lines)
        columns = self._read_header(reader)
        if columns is None:
            return
        line = lines.first + reader.line_num
        cursor = _Cursor(lines.position(line), line)
        if start is not None:
            cursor = _Cursor(*start, moved=True)
            file.seek(start[0])
        while True:
            if cursor.moved:
                lines = self._lines(file, cursor.position or 0, cursor.line)
                reader = self._reader(lines)
            try:
                yield from self._records(lines, reader, columns, cursor)
                return
            except csv.Error as error:
                yield self._broken_row(file, cursor, lines.first + reader.line_num - 1, error)
            except UnicodeError:
                raise SourceError(f"{self.name}, near line {cursor.line}: {self._not_decoded()}") from None

    def _records(self, lines: Lines, reader: Reader, columns: list[str], cursor: _Cursor) -> Iterator[Row]:
        """Iterate over rows; after an error the cursor is at the row with the error."""
        # Rows with more cells are checked cell by cell, and so are all rows if columns are left out.
        width = len(columns) if columns == self.columns else -1
        end, line = cursor.position, cursor.line
        for cells in reader:
            start, line = line, lines.first + reader.line_num
            position, end = end, lines.position(line)
            cursor.position, cursor.line = end, line
            if (
                start > lines.careful
                and 0 < len(cells) <= width
                and cells[0] > " "
                and not cells[0].isspace()
            ):
                # Nothing to restore or refuse: with a check of each cell, reading takes 1.9 times as long.
                # Spreadsheet programs omit empty cells at the end of a row.
                yield Row(start, dict(zip(columns, cells, strict=False)), None, position)
            elif any(map(strip, cells)):
                yield self._row(start, position, columns, cells)

    def _broken_row(self, file: IO[bytes], cursor: _Cursor, line: int, error: csv.Error) -> Row:
        """Return the row with a broken quote, and move past it.

        Raises:
            SourceError: the boundaries of the following rows cannot be found.
        """
        start, position = cursor.line, cursor.position
        raw = self._broken_line(file, position) if start == line and position is not None else None
        if raw is None or position is None:
            raise SourceError(
                f"{self.name}, line {start}: {error}; a quote is missing or not doubled, so the rows after "
                "it cannot be read: correct this line"
            ) from None
        problem = "a quote inside a quoted cell is not doubled"
        if b'"' not in raw:
            problem = f"a cell is longer than {csv.field_size_limit():,} characters"
        cursor.position, cursor.line = position + len(raw), start + 1
        cursor.moved = True
        file.seek(position + len(raw))
        text = raw.decode(self._encoding.removesuffix("-sig"), "surrogateescape").rstrip("\r\n")
        return Row(start, {EXTRA: text}, problem, position)

    def _broken_line(self, file: IO[bytes], position: int) -> bytes | None:
        """Return the line of a row with a broken quote, ``None`` if the rows after it cannot be read.

        After an even number of quotes, no cell is open at the end of the line.
        """
        file.seek(position)
        raw = next(iter(blocks(file)), b"").splitlines(keepends=True)[0]
        return raw if raw.count(b'"') % 2 == 0 else None

    def _reader(self, lines: Lines) -> Reader:
        # Strict: otherwise the rest of the file after an open quote would be one cell.
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _lines(self, file: IO[Any], position: int = 0, line: int = 1) -> Lines:
        if not self._has_byte_lines:
            return TextLines(file)
        return ByteLines(file, self._encoding, position=position, first=line, suspicious=self._has_quotes)

    def _has_quotes(self, block: bytes) -> bool:
        """Return True if a cell may begin with the single quote that `restore` removes."""
        return b"'" in block and (block.startswith(b"'") or any(each in block for each in self._quoted))

    def _read_header(self, reader: Reader) -> list[str] | None:
        """Return the names of all columns, ``None`` if the file is empty."""
        cells: list[str] = []
        try:
            for cells in reader:
                if reader.line_num >= self._header_line and any(map(strip, cells)):
                    break
            else:
                return None
        except csv.Error as error:
            raise SourceError(f"{self.name}, line {reader.line_num}: {error}") from None
        except UnicodeError:
            raise SourceError(f"{self.name}, near line {reader.line_num}: {self._not_decoded()}") from None
        if not was_decoded("".join(cells)):
            raise SourceError(f"{self.name}, line {reader.line_num}: {self._not_decoded()}")
        return self._read_names(self.name, cells)

    def _row(self, line: int, position: int | None, columns: list[str], cells: list[str]) -> Row:
        problem = None
        if not was_decoded("".join(cells)):
            problem = self._not_decoded()
        elif len(cells) > len(columns) and any(cells[len(columns) :]):
            problem = f"{len(cells)} cells for {len(columns)} columns"
        fields = without_reserved(zip(columns, map(restore, cells), strict=False))
        fields.pop("", None)  # Cells of columns without a name.
        if problem is not None and len(cells) > len(columns):
            fields[EXTRA] = self._delimiter.join(cells[len(columns) :])
        return Row(line, fields, problem, position)
