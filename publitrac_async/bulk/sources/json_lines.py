"""Read JSON files: one object per line, or an array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar, Final

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import EXTRA, Row, without_reserved
from publitrac_async.bulk.sources.detect import PROBE, detect_encoding
from publitrac_async.bulk.sources.file import TextFile, was_decoded
from publitrac_async.bulk.sources.json_array import JsonArrayReader, RepeatedNames, object_of
from publitrac_async.bulk.sources.lines import TextLines, blocks

#: Start of an object that is not a row: it spans several lines, or holds an array of rows.
_NO_ROW: Final = re.compile(r'\{\s*(?:[\r\n]|"([^"]*)"\s*:\s*\[\s*\{)')


_ARRAY: Final = re.compile(r"\[\s*[{\]]")


class JsonLinesFile(TextFile):
    """A file with one JSON object per line, or one array of objects. Blank lines are ignored.

    The line of a row in an array is the number of its element; it has no position.

    Attributes:
        is_array: true if the file is an array; set when it is read.
    """

    kind: ClassVar[str | None] = "json lines"
    tabular = False

    def __init__(self, path: Path, *, encoding: str) -> None:
        super().__init__(path, encoding=encoding)
        self.is_array: bool = False

    def __iter__(self) -> Iterator[Row]:
        text = self._detect()
        self.is_array = _ARRAY.match(text) is not None
        if found := _NO_ROW.match(text):
            hint = f"; extract the array {found[1]}" if found[1] else ""
            raise SourceError(f"{self.name} is neither an array of objects nor one object per line{hint}")
        if self.is_array:
            with self._open_text() as file:
                yield from self._elements(file)
        else:
            with self._open_lines() as file:
                yield from self._rows(file, 0, 1)

    def _detect(self) -> str:
        """Detect the encoding from the start of the file, and return the start as text."""
        start = self._read_start(PROBE)
        self._set_encoding(detect_encoding(start, self._encoding))
        return start.decode(self._encoding, "replace").removeprefix("\ufeff").lstrip()

    def _elements(self, file: IO[str]) -> Iterator[Row]:
        number = 0
        try:
            for number, content in enumerate(JsonArrayReader(file), 1):
                if not isinstance(content, dict):
                    yield Row(number, {EXTRA: str(content)}, "not a JSON object")
                    continue
                row = _row_of(number, content, None)
                if isinstance(content, RepeatedNames):
                    yield Row(number, row.fields, content.problem)
                    continue
                decoded = all(was_decoded(cell) for cell in content.values() if isinstance(cell, str))
                yield row if decoded else Row(number, row.fields, self._not_decoded())
        except UnicodeError:
            raise SourceError(f"{self.name}, near element {number + 1}: {self._not_decoded()}") from None
        except ValueError as error:
            raise SourceError(f"{self.name}, element {number + 1}: {error}") from None

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a position; see `Seekable.rows_from`.

        Raises:
            SourceError: the file cannot be read.
        """
        self._detect()
        with self._open_lines() as file:
            file.seek(position)
            yield from islice(self._rows(file, position, line), count)

    def _rows(self, file: IO[Any], position: int, line: int) -> Iterator[Row]:
        if not self._has_byte_lines:
            yield from self._rows_of_text(file)
            return
        utf_8 = self._encoding.startswith("utf-8")
        for block in blocks(file):
            for raw in block.splitlines(keepends=True):
                text = raw.decode(self._encoding.removesuffix("-sig"), "surrogateescape")
                if position == 0 and utf_8:
                    text = text.removeprefix("\ufeff")
                if text.strip():
                    yield self._row(line, text, position)
                position += len(raw)
                line += 1

    def _rows_of_text(self, file: IO[str]) -> Iterator[Row]:
        line = 0
        try:
            for line, text in enumerate(TextLines(file), 1):
                if text.strip():
                    yield self._row(line, text, None)
        except UnicodeError:
            raise SourceError(f"{self.name}, near line {line + 1}: {self._not_decoded()}") from None

    def _row(self, line: int, text: str, position: int | None) -> Row:
        # An unreadable line is kept in a column that sources drop when they read a result file.
        unreadable = {EXTRA: text.rstrip("\r\n")}
        if not was_decoded(text):
            return Row(line, unreadable, self._not_decoded(), position)
        try:
            content = json.loads(text, object_pairs_hook=object_of)
        except json.JSONDecodeError as error:
            fault = error.msg.lower().removesuffix(" at").removesuffix(" starting")
            return Row(line, unreadable, f"not JSON: {fault}", position)
        except (RecursionError, ValueError):  # A number may have too many digits.
            return Row(line, unreadable, "not JSON", position)
        if not isinstance(content, dict):
            return Row(line, unreadable, "not a JSON object", position)
        if isinstance(content, RepeatedNames):
            return Row(line, unreadable, content.problem, position)
        return _row_of(line, content, position)


def _row_of(line: int, content: dict[str, Any], position: int | None) -> Row:
    return Row(line, without_reserved(content.items()), None, position)
