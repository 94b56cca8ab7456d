"""Read the lines of a text file, with the position of each in bytes."""

from __future__ import annotations

import abc
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate, chain, pairwise
from typing import IO, Final

from publitrac_async.bulk.errors import SourceError

#: Bytes per block. Larger blocks are not faster, and a reader of one chunk reads up to a block too much.
_BLOCK: Final = 16 * 1024
#: Longest line in bytes or characters: a whole line is held in memory.
_LONGEST_LINE: Final = 64 * 1024 * 1024
#: Encodings, by Python's names, with one byte per character and ASCII as a subset.
_ONE_BYTE: Final = re.compile(r"ascii|iso8859-\d+|cp125\d|cp437|cp85[0-8]|cp86\d|koi8-\w|mac-roman")


def has_byte_lines(encoding: str) -> bool:
    """Return True if line breaks can be found in the bytes, and each line can be decoded separately."""
    return encoding in ("utf-8", "utf-8-sig") or _ONE_BYTE.fullmatch(encoding) is not None


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of `file` in pieces of some kilobytes that end at line breaks.

    Line breaks are LF, CRLF or a single CR, as in Python's universal newlines mode.
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
        careful: number of the last line whose cells need a check one by one; updated during iteration.
    """

    first: int = 1
    careful: int = 0

    @abc.abstractmethod
    def __iter__(self) -> Iterator[str]:
        """Iterate over the lines."""

    @abc.abstractmethod
    def position(self, line: int) -> int | None:
        """Return the byte at which `line` begins, the one after the last line read; ``None`` if unknown."""


class TextLines(Lines):
    """Lines in an encoding whose line breaks can be found only after decoding."""

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
    """Lines in an encoding whose line breaks can be found in the bytes.

    Args:
        file: open file; reading starts at its current position.
        encoding: an encoding for which `has_byte_lines` is true.
        position: current position of the file in bytes.
        first: number of the line there.
        suspicious: returns True if the cells of a block need a check one by one. Blocks with invalid bytes
            always do; `was_decoded` finds the replacements of these bytes.
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
        """Return the byte at which `line` begins, the one after the last line read."""
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
        # Decoding the whole block is faster, and in these encodings each character is one byte.
        text = block.decode(self._encoding, errors)
        return [text[start:end] for start, end in pairwise(accumulate(map(len, lines), initial=0))]


def _check_length(length: int) -> None:
    """Refuse a line that is too long for a table.

    Raises:
        SourceError: the line is too long.
    """
    if length >= _LONGEST_LINE:
        longest = _LONGEST_LINE // 1024**2
        raise SourceError(f"a line is longer than {longest} MiB: this is not a file of leads")
