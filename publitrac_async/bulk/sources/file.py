"""Base classes of files: name, fingerprint, opening as text."""

from __future__ import annotations

import abc
import codecs
import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, ClassVar, Final

from publitrac_async.bulk.cells import strip
from publitrac_async.bulk.errors import SourceError, SourceUnavailable
from publitrac_async.bulk.rows import RESERVED, Row
from publitrac_async.bulk.sources.lines import has_byte_lines
from publitrac_async.bulk.sources.spool import Spool, spooled

_PROBE: Final = 64 * 1024
#: Path of standard input.
STANDARD_INPUT: Final = Path("-")
#: First bytes of files that are not text, and their kind.
_NO_TEXT: Final = (
    (b"PK\x03\x04", "a workbook or ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old workbook"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)
#: Characters by which "surrogateescape" replaces undecodable bytes.
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


class FileSource(abc.ABC):
    """A file of leads. Each iteration reads it from the start.

    Attributes:
        path: path of the file.
        encoding: encoding of a text file, ``None`` for others.
        delimiter: character between the cells of a text file, ``None`` for others.
        tabular: true if all rows have the same columns.
        limit: maximum number of rows to read, ``None`` for all.
        workbook_sheet: name of the sheet, set when a workbook is read; ``None`` for other files.
        other_sheets: names of the sheets that are not read.
        columns: columns of the header, set when the file is read; empty for files without a header.
    """

    tabular: bool = True
    #: Kind of file in `reference`; ``None`` if other processes cannot open it.
    kind: ClassVar[str | None] = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.encoding: str | None = None
        self.delimiter: str | None = None
        self.limit: int | None = None
        self.workbook_sheet: str | None = None
        self.other_sheets: list[str] = []
        self.columns: list[str] = []

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows.

        Raises:
            SourceError: the file, or a part of it, cannot be read.
        """

    @property
    def name(self) -> str:
        """Name of the file."""
        return "standard input" if self.path == STANDARD_INPUT else self.path.name

    @property
    def description(self) -> str:
        """Name of the file, with the sheet if it has several; complete once the file has been read."""
        return f"{self.name}, sheet {self.workbook_sheet}" if self.other_sheets else self.name

    def reference(self) -> dict[str, Any]:
        """Return path and kind of this file as JSON, for `open_source` in another process.

        Raises:
            SourceError: the file does not exist, or can be read only once, like a pipe.
        """
        if self.kind is None:
            raise SourceError(f"other processes cannot open a {type(self).__name__}: use a NamedSource")
        if not self.path.is_file():
            raise SourceError(f"{self.name} is not a file that other processes can open and read")
        return {"kind": self.kind, "path": str(self.path.absolute()), **self._options()}

    def _options(self) -> dict[str, Any]:
        """Return the arguments of the constructor, except the path."""
        return {}

    def _read_names(self, source: str, cells: Iterable[str]) -> list[str]:
        """Return the names of columns, without empty names at the end, and note those that rows keep.

        Args:
            source: name of the source, for the error.
            cells: cells of the header.

        Raises:
            SourceError: a name is repeated.
        """
        columns = [strip(cell) for cell in cells]
        while columns and not columns[-1]:
            columns.pop()
        repeated = sorted({name for name in columns if name and columns.count(name) > 1})
        if repeated:
            raise SourceError(f"{source}: two columns are named {', '.join(repeated)}")
        self.columns = [name for name in columns if name and not name.startswith(RESERVED)]
        return columns

    def source_hash(self) -> str:
        """Return a hash of size, start and end of the file, to detect changes.

        Raises:
            SourceError: the file cannot be read.
        """
        digest = hashlib.blake2b(digest_size=16)
        with self._open() as file:
            size = file.seek(0, 2)
            digest.update(str(size).encode())
            for start in (0, max(0, size - _PROBE)):
                file.seek(start)
                digest.update(file.read(_PROBE))
        return digest.hexdigest()

    def _open(self) -> IO[bytes]:
        if self.path == STANDARD_INPUT:
            raise SourceError("only text can be read from standard input: write other formats to a file")
        try:
            return self.path.open("rb")
        except OSError as error:
            raise SourceUnavailable(f"{self.name} cannot be read: {error.strerror}") from None


class TextFile(FileSource):
    """A text file in a declared encoding; also a gzip file, a pipe or standard input.

    Bytes that are invalid in this encoding do not end the reading: each row that has some is rejected.
    """

    def __init__(self, path: Path, *, encoding: str) -> None:
        super().__init__(path)
        self._spool: Spool | None = None
        try:
            self._set_encoding(codecs.lookup(encoding).name)
        except LookupError:
            raise SourceError(f"{encoding} is not an encoding known to Python") from None

    def _set_encoding(self, name: str) -> None:
        # Spreadsheet programs put a byte order mark before UTF-8.
        self._encoding = "utf-8-sig" if name == "utf-8" else name
        self.encoding: str | None = self._encoding
        self._has_byte_lines = has_byte_lines(self._encoding)

    def _options(self) -> dict[str, Any]:
        return {"encoding": self._encoding}

    def _open(self) -> IO[bytes]:
        if self._spool is None:
            if self.path == STANDARD_INPUT:
                self._spool = spooled(self.name, sys.stdin.buffer, always=True)
                assert self._spool is not None
                return self._spool.open()
            with ExitStack() as stack:
                file = stack.enter_context(super()._open())
                self._spool = spooled(self.name, file)
                if self._spool is None:
                    stack.pop_all()
                    return file
        return self._spool.open()

    def _open_lines(self) -> IO[Any]:
        """Open the file as bytes if its line breaks can be found in the bytes, as text otherwise."""
        return self._open() if self._has_byte_lines else self._open_text()

    def _open_text(self) -> IO[str]:
        errors = "strict" if self._encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        return io.TextIOWrapper(self._open(), encoding=self._encoding, errors=errors, newline="")

    def _read_start(self, size: int) -> bytes:
        """Return the first bytes.

        Raises:
            SourceError: the file is unreadable, or not text.
        """
        with self._open() as file:
            start = file.read(size)
        for mark, kind in _NO_TEXT:
            if start.startswith(mark):
                raise SourceError(f"{self.name} is {kind}, not text: correct its suffix, or name its format")
        return start

    def _not_decoded(self) -> str:
        name = self._encoding.removesuffix("-sig")
        hint = "; a file from Excel may need --encoding cp1252" if name == "utf-8" else ""
        return f"not {name}: declare the file's encoding{hint}"


def was_decoded(text: str) -> bool:
    """Return True if all bytes of `text` were valid in the declared encoding."""
    return text.isascii() or _ESCAPED.search(text) is None
