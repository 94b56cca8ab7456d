"""Formats of exported leads: JSON lines and CSV; for workbooks see `workbook`.

Leads are written one by one. A table needs its columns before the first row, so without `--fields` all leads
are first written to a temporary file.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Protocol

from publitrac_async.bulk.formulas import defuse
from publitrac_async.converters import NATIVE_FIELDS


class LeadWriter(Protocol):
    """Writer of leads, each passed as values by the vendor's field names."""

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""

    def close(self) -> Sequence[str]:
        """Write the remaining data. The file stays open.

        Returns:
            Messages about cells that could not be written, without personal data.
        """
        ...


class JsonLines:
    """Writer of JSON lines."""

    def __init__(self, file: IO[bytes], columns: Sequence[str] | None) -> None:
        self._file = file
        self._columns = columns

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""
        if self._columns is not None:
            fields = {name: fields[name] for name in self._columns if name in fields}
        self._file.write(_json_line(fields))

    def close(self) -> Sequence[str]:
        """Do nothing: all leads have been written."""
        return ()


class CsvTable:
    """Writer of comma-separated values (RFC 4180), in UTF-8."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        self._writer = csv.writer(_Encoded(file), lineterminator="\r\n")
        self._columns = columns
        if columns:
            self._writer.writerow(columns)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""
        self._writer.writerow([cell(fields.get(name)) for name in self._columns])

    def close(self) -> Sequence[str]:
        """Do nothing: all leads have been written."""
        return ()


class Spooled:
    """Writer of a table with a column for every field with a value.

    Native fields are in the order of `Lead`, custom fields in the order of appearance.
    """

    def __init__(self, table: Callable[[Sequence[str]], LeadWriter]) -> None:
        self._table = table
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._names: dict[str, None] = {}

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead to the temporary file."""
        self._names.update(dict.fromkeys(fields))
        self._spool.write(_json_line(fields))

    def close(self) -> Sequence[str]:
        """Write the table."""
        with self._spool:
            native = [name for name in NATIVE_FIELDS if name in self._names]
            table = self._table([*native, *(name for name in self._names if name not in NATIVE_FIELDS)])
            self._spool.seek(0)
            for line in self._spool:
                table.write(json.loads(line))
            return table.close()


def cell(value: Any) -> str | int:
    """Return a value as a number, or as text that is safe in spreadsheets."""
    match value:
        case None:
            return ""
        case bool() | int():
            return int(value)
        case list() | dict():
            return str(defuse(json.dumps(value, ensure_ascii=False, default=str)))
        case _:
            return str(defuse(str(value)))


def _json_line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, default=str).encode() + b"\n"


class _Encoded:
    """Text file over a binary file, which it does not close."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())
