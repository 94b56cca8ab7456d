"""Bytes that can be read only once: pipes, standard input and gzip files, unpacked into a temporary file."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
import weakref
import zlib
from typing import IO, Final

from publitrac_async.bulk.errors import SourceError

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1024 * 1024
#: A table shrinks to a tenth, rarely to a hundredth. More is an attack that would fill the disk.
_MAX_RATIO: Final = 200
_SMALL: Final = 64 * 1024 * 1024


class Spool:
    """Bytes in a temporary file without a name, which ends with the process."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the source)
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Append bytes."""
        self._file.write(piece)
        self._size += len(piece)

    def open(self) -> io.BufferedReader:
        """Return a reader, which has a place apart from that of others."""
        return io.BufferedReader(_Reader(self), _PIECE // 16)

    def read_at(self, place: int, count: int) -> bytes:
        """Return up to `count` bytes from a place."""
        with self._lock:
            self._file.seek(place)
            return self._file.read(count)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size


class _Reader(io.RawIOBase):
    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence, self._spool.size)
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        piece = self._spool.read_at(self._place, len(buffer))
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def spooled(name: str, file: IO[bytes], *, always: bool = False) -> Spool | None:
    """Return the bytes of a file that cannot be read from any place, ``None`` for other files.

    Args:
        name: name of the file, for errors.
        file: open file, at its start; ends up there if nothing had to be spooled.
        always: spool every file.

    Raises:
        SourceError: the gzip file is damaged or unpacks to an absurd size, or the disk is full.
    """
    start = file.read(len(_GZIP))
    if not always and start != _GZIP and file.seekable():
        file.seek(0)
        return None
    spool, source = Spool(), _Counted(start, file)
    try:
        if start == _GZIP:
            _unpack(name, source, spool)
        else:
            while piece := source.read(_PIECE):
                spool.add(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(f"{name} is a damaged gzip file: was it transferred to its end?") from None
    except OSError as error:
        raise SourceError(f"{name} cannot be read into a temporary file: {error.strerror}") from None
    return spool


def _unpack(name: str, packed: _Counted, spool: Spool) -> None:
    with gzip.GzipFile(fileobj=packed) as unpacked:
        while piece := unpacked.read(_PIECE):
            spool.add(piece)
            if spool.size > max(_SMALL, _MAX_RATIO * packed.count):
                raise SourceError(f"{name} unpacks to over {_MAX_RATIO} times its size: this is no table")


class _Counted(io.RawIOBase):
    """Counts the bytes that are read from a file, of which the start was read already."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        self._start = start
        self._file = file
        self.count = len(start)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        start, self._start = self._start, b""
        piece = start or self._file.read(size)
        self.count += 0 if start else len(piece)
        return piece
