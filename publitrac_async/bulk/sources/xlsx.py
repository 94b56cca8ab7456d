"""Read Excel workbooks (extra `xlsx`). Only this module imports python-calamine."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from publitrac_async.bulk.cells import strip
from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.formulas import restore
from publitrac_async.bulk.rows import EXTRA, Row, without_reserved
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.values import plain
from publitrac_async.bulk.sources.xlsx_errors import NO_RESULT, error_cells

try:
    import python_calamine
except ModuleNotFoundError:
    raise SourceError("reading .xlsx needs the extra: pip install 'publitrac_async[xlsx]'") from None


_NOT_CALCULATED: Final = "a formula has no result: open the workbook in a spreadsheet program and save it"


class XlsxFile(FileSource):
    """Sheet of a workbook, loaded into memory: about 1 kB per row. Rows have no position."""

    kind: ClassVar[str | None] = "workbook"

    def __init__(self, path: Path, *, sheet: str | None = None, header: int | None = None) -> None:
        super().__init__(path)
        self._header = header
        self.sheet = sheet
        self.sheet_name: str = sheet or ""

    def _options(self) -> dict[str, Any]:
        return {"sheet": self.sheet, "header": self._header}

    def __iter__(self) -> Iterator[Row]:
        columns: list[str] | None = None
        for line, cells in enumerate(self._read(), 1):
            if not any(strip(cell) if isinstance(cell, str) else True for cell in cells):
                continue
            if columns is None:
                if line >= (self._header or 1):
                    columns = self._read_names(f"{self.name}, sheet {self.sheet_name}", map(str, cells))
                continue
            yield self._row(line, columns, cells)

    @staticmethod
    def _row(line: int, columns: Sequence[str], cells: Sequence[object]) -> Row:
        pairs = zip(columns, map(restore, map(plain, cells)), strict=False)
        fields = without_reserved((name, cell) for name, cell in pairs if name)
        if NO_RESULT in fields.values():
            readable = {name: "" if cell == NO_RESULT else cell for name, cell in fields.items()}
            return Row(line, readable, _NOT_CALCULATED)
        surplus = [cell for cell in cells[len(columns) :] if cell != ""]
        if not surplus:
            return Row(line, fields)
        fields[EXTRA] = "; ".join(map(str, surplus))
        return Row(line, fields, f"{len(cells)} cells for {len(columns)} columns")

    def _read(self) -> Iterator[Sequence[object]]:
        self._open().close()
        try:
            workbook = python_calamine.CalamineWorkbook.from_path(self.path)
        except (python_calamine.CalamineError, zipfile.BadZipFile, IndexError):
            raise self._unreadable() from None
        try:
            visible = [
                each.name
                for each in workbook.sheets_metadata
                if each.visible is python_calamine.SheetVisibleEnum.Visible
            ]
            self.sheet_name = self.sheet or (visible or workbook.sheet_names)[0]
            self.workbook_sheet: str | None = self.sheet_name
            self.other_sheets: list[str] = [name for name in workbook.sheet_names if name != self.sheet_name]
            # From the first row of the sheet, so that line numbers agree with those of Excel.
            rows = workbook.get_sheet_by_name(self.sheet_name).to_python(skip_empty_area=False)
        except python_calamine.WorksheetNotFound:
            names = ", ".join(workbook.sheet_names)
            raise SourceError(f"{self.name} has no sheet {self.sheet}; it has {names}") from None
        except (python_calamine.CalamineError, zipfile.BadZipFile, IndexError):
            raise self._unreadable() from None
        errors = error_cells(self.path, self.sheet_name)
        lines = {line for line, _ in errors}
        for line, cells in enumerate(rows, 1):
            if line not in lines:
                yield cells
                continue
            yield [cell or errors.get((line, column), cell) for column, cell in enumerate(cells)]

    def _unreadable(self) -> SourceError:
        with self._open() as file:
            start = file.read(512)
        text = f"{self.name} is not a readable workbook"
        if start.lstrip().startswith(b"<"):
            text += ": it is a web page or XML. Open it in a spreadsheet program and save it as .xlsx"
        elif start.startswith(b"\xd0\xcf\x11\xe0") and self.path.suffix.lower() != ".xls":
            text += ": remove its password, or, if it is an old workbook, name it .xls"
        elif start and b"\0" not in start:
            text += ': it is text. Read it with --format csv, or format="csv"'
        return SourceError(text)
