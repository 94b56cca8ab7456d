"""Several files as one source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from attrs import evolve

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Line, Row
from publitrac_async.bulk.sources.file import FileSource

#: Maximum number of files in the name of the source.
_NAMED = 3


class Files(FileSource):
    """Several files, read one after the other. The line of a row is ``FILE:LINE``.

    Attributes:
        files: the files.
        begun: files whose reading has begun.
        without_rows: names of files that were read and have no rows.
    """

    kind: ClassVar[str | None] = "files"

    def __init__(self, files: Sequence[FileSource]) -> None:
        super().__init__(files[0].path)
        self.files: tuple[FileSource, ...] = tuple(files)
        self.tabular: bool = any(file.tabular for file in files)
        self.begun: list[FileSource] = []
        self.without_rows: list[str] = []
        names = [file.name for file in files]
        #: Names in lines: paths where two files have the same name.
        self._names = names if len(set(names)) == len(names) else [str(file.path) for file in files]

    @property
    def name(self) -> str:
        """Number and names of the files."""
        more = ", ..." if len(self._names) > _NAMED else ""
        return f"{len(self._names)} files ({', '.join(self._names[:_NAMED])}{more})"

    def __iter__(self) -> Iterator[Row]:
        self.begun, self.without_rows = [], []
        for number, file in enumerate(self.files):
            self.begun.append(file)
            rows = 0
            for rows, row in enumerate(file, 1):
                if rows == 1:
                    self._note(file)
                yield self._named(number, row)
            if rows == 0:
                self.without_rows.append(self._names[number])
                self._note(file)

    def rows_from(self, position: str, line: Line, count: int) -> Iterator[Row]:
        """Read rows from a position; see `Seekable.rows_from`.

        Args:
            position: `Row.position` of the first row.
            line: `Row.line` of the first row.
            count: maximum number of rows.

        Raises:
            SourceError: a file is unreadable.
        """
        start, offset = map(int, position.split(":"))
        own_line = int(str(line).rpartition(":")[2])
        for number, file in enumerate(self.files[start:], start):
            # Rows of files without this method have no position.
            rows = file.rows_from(offset, own_line, count) if number == start else iter(file)  # type: ignore[attr-defined]
            for row in rows:
                yield self._named(number, row)
                count -= 1
                if count == 0:
                    return

    def source_hash(self) -> str:
        """Return a hash of the hashes of all files.

        Raises:
            SourceError: a file is unreadable.
        """
        each = (file.source_hash().encode() for file in self.files)
        return hashlib.blake2b(b" ".join(each), digest_size=16).hexdigest()

    def reference(self) -> dict[str, Any]:
        """Return the references of all files; see `FileSource.reference`.

        Raises:
            SourceError: another process cannot open one of the files.
        """
        return {"kind": "files", "files": [file.reference() for file in self.files]}

    def _named(self, number: int, row: Row) -> Row:
        position = None
        if isinstance(row.position, int):
            position = f"{number}:{row.position}"
        return evolve(row, line=f"{self._names[number]}:{row.line}", position=position)

    def _note(self, file: FileSource) -> None:
        """Merge columns and format of a file into those of the source, for result files."""
        if file is self.files[0]:
            self.columns: list[str] = list(file.columns)
            self.delimiter, self.encoding = file.delimiter, file.encoding
            self.workbook_sheet = file.workbook_sheet
            return
        self.columns += [name for name in file.columns if name not in self.columns]
        self.delimiter = self.delimiter if file.delimiter else None
        self.workbook_sheet = self.workbook_sheet if file.workbook_sheet is not None else None
        if file.encoding != self.encoding:
            self.encoding = "utf-8-sig"


def files_source(files: Sequence[FileSource]) -> FileSource:
    """Return one source for all files.

    Raises:
        SourceError: there is no file, or the same file twice.
    """
    if not files:
        raise SourceError("no file is given: name at least one")
    paths = [file.path.absolute() for file in files]
    twice = sorted({file.name for file in files if paths.count(file.path.absolute()) > 1})
    if twice:
        raise SourceError(f"{', '.join(twice)}: the same file is given twice")
    return files[0] if len(files) == 1 else Files(files)
