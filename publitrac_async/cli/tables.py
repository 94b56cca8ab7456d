"""The forms in which leads are exported: JSON lines and CSV; the third is in `workbook`.

Leads go through one by one. A table has to know its columns before its first row, so where nobody named them
the leads wait in a temporary file, not in memory, until all have come.
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
    """Writes leads, each given as values by the vendor's field names."""

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""

    def close(self) -> Sequence[str]:
        """Write what is still to be written. The file stays open.

        Returns:
            What could not be written, in words without personal data.
        """
        ...


class JsonLines:
    """One JSON object a line."""

    def __init__(self, file: IO[bytes], columns: Sequence[str] | None) -> None:
        self._file = file
        self._columns = columns

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""
        if self._columns is not None:
            fields = {name: fields[name] for name in self._columns if name in fields}
        self._file.write(_json_line(fields))

    def close(self) -> Sequence[str]:
        """Nothing is left."""
        return ()


class CsvTable:
    """Comma-separated values as RFC 4180 has them, in UTF-8."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        self._writer = csv.writer(_Encoded(file), lineterminator="\r\n")
        self._columns = columns
        if columns:
            self._writer.writerow(columns)

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write a lead."""
        self._writer.writerow([cell(fields.get(name)) for name in self._columns])

    def close(self) -> Sequence[str]:
        """Nothing is left."""
        return ()


class Spooled:
    """Any table, of all fields that occur: native ones in the order of `Lead`, custom ones as they come."""

    def __init__(self, table: Callable[[Sequence[str]], LeadWriter]) -> None:
        self._table = table
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._names: dict[str, None] = {}

    def write(self, fields: Mapping[str, Any]) -> None:
        """Put a lead aside."""
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
    """A value as a cell that no spreadsheet runs: text, or a number as it is."""
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
    """A file of text over one of bytes, which it does not own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())
