"""One JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar

import orjson

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import EXTRA, RESERVED, Row, without_reserved
from publitrac_async.bulk.sources.file import TextFile, was_decoded
from publitrac_async.bulk.sources.lines import blocks


class JsonLinesFile(TextFile):
    """A file with one JSON object a line; empty lines do not count."""

    kind: ClassVar[str | None] = "json lines"
    tabular = False

    def __init__(self, path: Path, *, encoding: str) -> None:
        super().__init__(path, encoding=encoding)

    def __iter__(self) -> Iterator[Row]:
        with self._open_lines() as file:
            yield from self._rows(file, 0, 1)

    def rows_from(self, position: int, line: int, count: int) -> Iterator[Row]:
        """Read rows from a place in the file.

        Args:
            position: `Row.position` of the first.
            line: `Row.line` of the first.
            count: how many, unless the file ends before.

        Raises:
            SourceError: the file cannot be read.
        """
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
                row = self._plain_row(line, raw, position) if utf_8 else None
                if row is None:
                    text = raw.decode(self._encoding.removesuffix("-sig"), "surrogateescape")
                    if position == 0 and utf_8:
                        text = text.removeprefix("\ufeff")
                    row = self._row(line, text, position) if text.strip() else None
                if row is not None:
                    yield row
                position += len(raw)
                line += 1

    def _plain_row(self, line: int, raw: bytes, position: int) -> Row | None:
        """The row of a line that is an object in UTF-8, as nearly all are."""
        try:
            content = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None
        return _row_of(line, content, position) if isinstance(content, dict) else None

    def _rows_of_text(self, file: IO[str]) -> Iterator[Row]:
        line = 0
        try:
            for line, text in enumerate(file, 1):
                if text.strip():
                    yield self._row(line, text, None)
        except UnicodeError:
            raise SourceError(f"{self.name}, near line {line + 1}: {self._not_decoded()}") from None

    def _row(self, line: int, text: str, position: int | None) -> Row:
        # What cannot be read is kept under a name that the next reading of a result file leaves out.
        unreadable = {EXTRA: text.rstrip("\r\n")}
        if not was_decoded(text):
            return Row(line, unreadable, self._not_decoded(), position)
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:
            return Row(line, unreadable, "not JSON", position)
        if not isinstance(content, dict):
            return Row(line, unreadable, "not a JSON object", position)
        return _row_of(line, content, position)


def _row_of(line: int, content: dict[str, Any], position: int | None) -> Row:
    # One search through all names is faster than looking at each.
    reserved = RESERVED in ",".join(content)
    return Row(line, without_reserved(content.items()) if reserved else content, None, position)
