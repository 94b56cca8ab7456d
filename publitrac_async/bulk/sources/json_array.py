"""Read a JSON array element by element."""

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
    """JSON object in which a name is repeated; it holds the last value of each name.

    Attributes:
        problem: description with the repeated names.
    """

    problem: str


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; `json` itself would silently keep the last value of a repeated name."""
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    repeated = RepeatedNames(content)
    names = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    repeated.problem = f"two values are named {', '.join(names)}"
    return repeated


class JsonArrayReader:
    """Reads the elements of an array, with one element in memory at a time.

    Args:
        file: open file, at its start.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._decode = json.JSONDecoder(object_pairs_hook=object_of).raw_decode
        self._text = ""
        self._position = 0

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements.

        Raises:
            ValueError: the file is not an array, is malformed, or ends early.
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
                value, end = self._decode(self._text, self._position)
            except (json.JSONDecodeError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._read_more():
                    raise ValueError("not JSON") from None
                continue
            # A number at the end of the text read so far may be incomplete.
            if end < len(self._text) or not self._read_more():
                self._position = end
                return value

    def _next(self) -> str:
        """Return the next character that is not blank; empty at the end."""
        while True:
            found = _BLANKS.match(self._text, self._position)
            self._position = found.end() if found else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_more():
                return ""

    def _take(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise ValueError(f"{wanted} is missing" if found else "it ends early")
        self._position += 1

    def _read_more(self) -> bool:
        """Read more, twice as much at each attempt for the same element; return False at the end."""
        held = len(self._text) - self._position
        if held > _LONGEST:
            raise ValueError("not JSON, or an element is too long")
        piece = self._file.read(max(_BLOCK, held))
        self._text, self._position = self._text[self._position :] + piece, 0
        return bool(piece)
