"""Excel workbooks, with the extra `xlsx`. The only importer of python-calamine."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.formulas import restore
from publitrac_async.bulk.rows import Row, without_reserved
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.values import plain

try:
    import python_calamine
except ModuleNotFoundError:
    raise SourceError("reading .xlsx needs the extra: pip install 'publitrac_async[xlsx]'") from None


class XlsxFile(FileSource):
    """A sheet of a workbook, which is held in memory whole: about 1 kB a row. Rows have no position."""

    kind: ClassVar[str | None] = "workbook"

    def __init__(self, path: Path, *, sheet: str | None = None) -> None:
        super().__init__(path)
        self.sheet = sheet

    def _options(self) -> dict[str, Any]:
        return {"sheet": self.sheet}

    def __iter__(self) -> Iterator[Row]:
        columns: list[str] | None = None
        for line, cells in enumerate(self._read(), 1):
            if not any(cell != "" for cell in cells):
                continue
            if columns is None:
                columns = [str(cell).strip() for cell in cells]
            else:
                pairs = zip(columns, map(restore, map(plain, cells)), strict=False)
                yield Row(line, without_reserved((name, cell) for name, cell in pairs if name))

    def _read(self) -> Iterator[Sequence[object]]:
        self._open().close()
        try:
            workbook = python_calamine.CalamineWorkbook.from_path(self.path)
            name = self.sheet or workbook.sheet_names[0]
            # From the sheet's own first row: line numbers are those that Excel shows.
            rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        except python_calamine.WorksheetNotFound:
            raise SourceError(f"{self.name} has no sheet {self.sheet}") from None
        except (python_calamine.CalamineError, zipfile.BadZipFile, IndexError):
            raise SourceError(f"{self.name} is no workbook that can be read") from None
        yield from rows
