"""Write Excel workbooks (extra `xlsx`)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

import xlsxwriter  # type: ignore[import-untyped]  # it has no py.typed
from xlsxwriter.exceptions import XlsxWriterException  # type: ignore[import-untyped]  # as above

from publitrac_async.bulk import ExitStatus
from publitrac_async.bulk.report.workbook import MAX_COLUMNS, MAX_ROWS, fits
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.tables import cell

#: Excel keeps 15 digits of a number; longer numbers are written as text.
_INTEGER: Final = 10**15
_NAMED: Final = 10


class Workbook:
    """Writer of a workbook with one sheet. Rows go to a temporary file until it is closed."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        if len(columns) > MAX_COLUMNS:
            raise CommandError(f"a workbook holds {MAX_COLUMNS:,} columns: choose some with --fields")
        # A separate temporary folder, so that no rows are left behind after an error.
        self._folder = tempfile.TemporaryDirectory()
        self._workbook = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": self._folder.name})
        self._workbook.use_zip64()
        self._sheet = self._workbook.add_worksheet("Leads")
        self._sheet.freeze_panes(1, 0)
        self._columns = columns
        self._row = 0
        self._left_out = 0
        self._first_left_out: list[str] = []
        for number, name in enumerate(columns):
            self._sheet.write_string(0, number, name)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""
        self._row += 1
        check_rows(self._row)
        for number, name in enumerate(self._columns):
            value = cell(fields.get(name))
            if isinstance(value, int):
                if abs(value) < _INTEGER:
                    self._sheet.write_number(self._row, number, value)
                    continue
                value = str(value)
            if fits(value):
                if value:
                    self._sheet.write_string(self._row, number, value)
            else:
                # Left empty, not truncated: if the file is synced, an empty cell leaves the field unchanged.
                self._left_out += 1
                if self._left_out <= _NAMED:
                    self._first_left_out.append(f"row {self._row + 1}, column {name}")

    def close(self) -> Sequence[str]:
        """Assemble the workbook."""
        with self._folder:
            try:
                self._workbook.close()
            except XlsxWriterException:
                message = "the workbook could not be written: check that the disk is not full"
                raise CommandError(message, ExitStatus.ABORTED) from None
        if not self._left_out:
            return ()
        title = f"{self._left_out:,} cells are empty: a workbook cannot hold their text; .csv and .jsonl can:"
        more = self._left_out - len(self._first_left_out)
        return (title, *self._first_left_out, *([f"and {more:,} more"] if more else []))


def check_rows(count: int) -> None:
    """Refuse more leads than a sheet has rows.

    Raises:
        CommandError: there are more leads.
    """
    if count > MAX_ROWS:
        raise CommandError(
            f"a workbook holds {MAX_ROWS:,} leads: export to .csv or .jsonl", ExitStatus.ABORTED
        )
