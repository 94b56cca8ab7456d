"""One JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import EXTRA, Row, without_reserved
from publitrac_async.bulk.sources.file import TextFile, was_decoded


class JsonLinesFile(TextFile):
    """A file with one JSON object a line; empty lines do not count."""

    tabular = False

    def __init__(self, path: Path, *, encoding: str) -> None:
        super().__init__(path, encoding=encoding)

    def __iter__(self) -> Iterator[Row]:
        with self._open_text() as file:
            line = 0
            try:
                for line, text in enumerate(file, 1):
                    if text.strip():
                        yield self._row(line, text)
            except UnicodeError:
                raise SourceError(f"{self.name}, near line {line + 1}: {self._not_decoded()}") from None

    def _row(self, line: int, text: str) -> Row:
        # What cannot be read is kept under a name that the next reading of a result file leaves out.
        unreadable = {EXTRA: text.rstrip("\r\n")}
        if not was_decoded(text):
            return Row(line, unreadable, self._not_decoded())
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:
            return Row(line, unreadable, "not JSON")
        if not isinstance(content, dict):
            return Row(line, unreadable, "not a JSON object")
        return Row(line, without_reserved(content.items()))
