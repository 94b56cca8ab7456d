"""Copy pipes, standard input and unpacked gzip files into a temporary file that can be read repeatedly."""

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
#: A table shrinks to a tenth, rarely to a hundredth. Beyond this ratio it is an attack that fills the disk.
_MAX_RATIO: Final = 200
_SMALL: Final = 64 * 1024 * 1024


class Spool:
    """Bytes in a temporary file without a name, which does not outlive the process."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the source)
        # No reader knows that it is the last; a file that Python closes by itself comes with a warning.
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Append bytes."""
        self._file.write(piece)
        self._size += len(piece)

    def open(self) -> io.BufferedReader:
        """Return a reader with a position of its own."""
        return io.BufferedReader(_Reader(self), _PIECE // 16)

    def read_at(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes from a position."""
        with self._lock:
            self._file.seek(position)
            return self._file.read(count)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size


class _Reader(io.RawIOBase):
    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence, self._spool.size)
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        piece = self._spool.read_at(self._position, len(buffer))
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def spooled(name: str, file: IO[bytes], *, always: bool = False) -> Spool | None:
    """Return a spool of a file without random access, ``None`` for other files.

    Args:
        name: name of the file, for errors.
        file: open file, at its start; left there if no spool is needed.
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
        raise SourceError(f"{name} is a damaged gzip file: it may be incomplete, transfer it again") from None
    except OSError as error:
        raise SourceError(f"{name} cannot be read into a temporary file: {error.strerror}") from None
    return spool


def _unpack(name: str, packed: _Counted, spool: Spool) -> None:
    with gzip.GzipFile(fileobj=packed) as unpacked:
        while piece := unpacked.read(_PIECE):
            spool.add(piece)
            if spool.size > max(_SMALL, _MAX_RATIO * packed.count):
                raise SourceError(f"{name} unpacks to over {_MAX_RATIO} times its size: this is not a table")


class _Counted(io.RawIOBase):
    """A file whose start has already been read; counts the bytes that are read."""

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
