"""Read the lines of a text file, and the byte at which each begins."""

from __future__ import annotations

import abc
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import IO, Final

from publitrac_async.bulk.errors import SourceError

#: Bytes per block. Larger ones are not faster, and a reader of a chunk reads up to this much too far.
_BLOCK: Final = 16 * 1024
#: Longest line in bytes or characters: memory holds a line whole.
_LONGEST_LINE: Final = 64 * 1024 * 1024
#: Encodings, by Python's names, with one byte per character and ASCII as a subset.
_ONE_BYTE: Final = re.compile(r"ascii|iso8859-\d+|cp125\d|cp437|cp85[0-8]|cp86\d|koi8-\w|mac-roman")


def has_byte_lines(encoding: str) -> bool:
    """Return True if line breaks can be found in the bytes, and each line can be decoded separately."""
    return encoding in ("utf-8", "utf-8-sig") or _ONE_BYTE.fullmatch(encoding) is not None


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of `file` in pieces of some kilobytes that end at line breaks.

    Line breaks are LF, CRLF or a single CR, as everywhere in Python.
    """
    pieces: list[bytes] = []
    held = 0
    while piece := file.read(_BLOCK):
        # A CR at the end may be the first half of a CRLF.
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r", 0, -1)) + 1
        if end:
            yield b"".join((*pieces, piece[:end]))
            pieces, held = [piece[end:]], 0
        else:
            pieces.append(piece)
            held += len(piece)
            _check_length(held)
    if rest := b"".join(pieces):
        yield rest


class Lines(abc.ABC):
    """Lines of an open text file, with their line breaks. Iterate over them once.

    Attributes:
        first: number of the first line.
        careful: number of the last line whose cells have to be checked one by one. It grows during reading.
    """

    first: int = 1
    careful: int = 0

    @abc.abstractmethod
    def __iter__(self) -> Iterator[str]:
        """Iterate over the lines."""

    @abc.abstractmethod
    def position(self, line: int) -> int | None:
        """Return the byte at which `line` begins, right after the last line read; ``None`` if unknown."""


class TextLines(Lines):
    """Lines in an encoding that has to be decoded to find line breaks."""

    careful: int = sys.maxsize

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[str]:
        for line in iter(partial(self._file.readline, _LONGEST_LINE), ""):
            _check_length(len(line))
            yield line

    def position(self, line: int) -> int | None:  # noqa: ARG002  (the signature of `Lines`)
        """Return None: the position is unknown."""
        return None


class ByteLines(Lines):
    """Lines found in bytes.

    Args:
        file: read from its current position.
        encoding: one that `has_byte_lines`.
        position: its current position in bytes.
        first: number of the line there.
        suspicious: returns True if the cells of a block have to be checked one by one. They also are if
            bytes are invalid in this encoding; `was_decoded` finds their replacements.
    """

    def __init__(
        self,
        file: IO[bytes],
        encoding: str,
        *,
        position: int,
        first: int,
        suspicious: Callable[[bytes], bool],
    ) -> None:
        self.first = first
        self._file = file
        self._encoding = encoding
        self._suspicious = suspicious
        self._block_line = first
        self._positions = [position]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._decoded())

    def position(self, line: int) -> int:
        """Return the byte at which `line` begins, right after the last line read."""
        return self._positions[line - self._block_line]

    def _decoded(self) -> Iterator[list[str]]:
        line, end = self.first, self._positions[0]
        for block in blocks(self._file):
            lines = block.splitlines(keepends=True)
            positions = [*accumulate(map(len, lines), initial=end)]
            try:
                texts = self._decode(block, lines, "strict")
                careful = self._suspicious(block)
            except UnicodeDecodeError:
                texts = self._decode(block, lines, "surrogateescape")
                careful = True
            if end == 0 and self._encoding == "utf-8-sig":
                texts[0] = texts[0].removeprefix("\ufeff")
            self._block_line, self._positions = line, positions
            line, end = line + len(lines), positions[-1]
            if careful:
                self.careful: int = line - 1
            yield texts

    def _decode(self, block: bytes, lines: list[bytes], errors: str) -> list[str]:
        if self._encoding.startswith("utf-8"):
            return (
                [*map(bytes.decode, lines)]
                if errors == "strict"
                else [x.decode(errors=errors) for x in lines]
            )
        # One call for all is faster, and each character is one byte.
        text = block.decode(self._encoding, errors)
        return [text[start:end] for start, end in pairwise(accumulate(map(len, lines), initial=0))]


def _check_length(length: int) -> None:
    """Refuse a line that is too long for a table.

    Raises:
        SourceError: it is.
    """
    if length >= _LONGEST_LINE:
        raise SourceError(f"a line is longer than {_LONGEST_LINE // 1024**2} MiB: this is no file of leads")
