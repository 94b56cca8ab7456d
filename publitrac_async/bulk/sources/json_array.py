"""A JSON array, read element by element."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any, Final

_BLOCK: Final = 64 * 1024
#: Longest element in characters: memory holds an element whole.
_LONGEST: Final = 16 * 1024 * 1024
_BLANKS: Final = re.compile(r"[ \t\r\n]*")


class RepeatedNames(dict[str, Any]):
    """JSON object with a name that is repeated, and the last value of each name.

    Attributes:
        problem: names the repeated names.
    """

    problem: str


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; `json` itself keeps the last value of a name silently."""
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    repeated = RepeatedNames(content)
    names = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    repeated.problem = f"two values are named {', '.join(names)}"
    return repeated


class JsonArrayReader:
    """Reads the elements of an array; memory holds one of them.

    Args:
        file: open file, at its start.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._decode = json.JSONDecoder(object_pairs_hook=object_of).raw_decode
        self._text = ""
        self._place = 0

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements.

        Raises:
            ValueError: the file is no array, is malformed, or ends early.
        """
        self._take("[")
        if self._next() == "]":
            return
        while True:
            yield self._element()
            if self._next() == "]":
                return
            self._take(",")

    def _element(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decode(self._text, self._place)
            except (json.JSONDecodeError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._read_more():
                    raise ValueError("not JSON") from None
                continue
            # A number at the end of what was read may go on.
            if end < len(self._text) or not self._read_more():
                self._place = end
                return value

    def _next(self) -> str:
        """Return the next character that is no blank, empty at the end."""
        while True:
            found = _BLANKS.match(self._text, self._place)
            self._place = found.end() if found else self._place
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_more():
                return ""

    def _take(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise ValueError(f"{wanted} is missing" if found else "it ends early")
        self._place += 1

    def _read_more(self) -> bool:
        """Read on, twice as much for each attempt at the same element; False at the end."""
        held = len(self._text) - self._place
        if held > _LONGEST:
            raise ValueError("not JSON, or an element is too long")
        piece = self._file.read(max(_BLOCK, held))
        self._text, self._place = self._text[self._place :] + piece, 0
        return bool(piece)
