"""Result files as workbooks, with the extra `xlsx`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final

import xlsxwriter  # type: ignore[import-untyped]  # it has no py.typed
from xlsxwriter.exceptions import XlsxWriterException  # type: ignore[import-untyped]  # as above

#: Excel's limits ("Excel specifications and limits"), one row being the header.
MAX_ROWS: Final = 1_048_576 - 1
MAX_COLUMNS: Final = 16_384
_TEXT: Final = 32_767
_SHEET_NAME: Final = 31
_CUT: Final = " [cut]"
#: Texts that a streaming XlsxWriter 3.3 does not write correctly. It mistakes the first for its own markup
#: and leaves it unescaped; in the second it escapes only one of two overlapping sequences.
_AMBIGUOUS: Final = re.compile(r"<r>.*</r>\Z|.*_x[0-9a-fA-F]{4}_x[0-9a-fA-F]{4}_", re.DOTALL)


class ResultWorkbook:
    """A workbook of one sheet whose cells are text. Rows go to a temporary file until it is closed.

    Args:
        file: open file.
        columns: names of the columns.
        sheet: name of the sheet.
    """

    def __init__(self, file: IO[bytes], columns: Sequence[str], sheet: str) -> None:
        # A folder of its own, so that no rows are left behind after an error.
        self._folder = tempfile.TemporaryDirectory()
        self._workbook = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": self._folder.name})
        self._workbook.use_zip64()
        self._sheet = self._workbook.add_worksheet(sheet[:_SHEET_NAME] or "Leads")
        self._sheet.freeze_panes(1, 0)
        # Spreadsheet programs mark numbers that are stored as text.
        self._sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{MAX_ROWS + 1}"})
        self._columns = columns
        self._row = 0
        for number, name in enumerate(columns):
            self._sheet.write_string(0, number, name)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows. Text never becomes a formula, a number or a link."""
        for cells in rows:
            self._row += 1
            for number, name in enumerate(self._columns):
                value = cells.get(name)
                if isinstance(value, bool):
                    self._sheet.write_boolean(self._row, number, value)
                elif value is not None and value != "":
                    text = str(value)
                    self._sheet.write_string(self._row, number, text if fits(text) else _shortened(text))

    def close(self) -> None:
        """Write the workbook to the file.

        Raises:
            OSError: the file cannot be written.
        """
        with self._folder:
            try:
                self._workbook.close()
            except XlsxWriterException as error:
                raise OSError(str(error)) from None


def fits(text: str) -> bool:
    """Return True if a cell can hold `text` unchanged."""
    return _length(text) <= _TEXT and not _AMBIGUOUS.match(text)


def _length(text: str) -> int:
    # Excel counts characters above U+FFFF twice.
    return len(text) + (sum(each > "\uffff" for each in text) if len(text) > _TEXT // 2 else 0)


def _shortened(text: str) -> str:
    """Return the start of `text`, in a form that a cell can hold."""
    return text[: _TEXT // 2].replace("_x", "_ x").replace("<r>", "< r>") + _CUT
