"""Result files: every row of the source in one of three files, with its outcome."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from publitrac_async.bulk.formulas import defuse
from publitrac_async.bulk.report.html import render
from publitrac_async.bulk.report.model import Report
from publitrac_async.bulk.rows import EXTRA, RESERVED, StagedRow, State
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.json_lines import JsonLinesFile
from publitrac_async.bulk.staging import Staging
from publitrac_async.errors import ConfigurationError
from publitrac_async.models import Lead

#: States of the rows by name of the file.
FILES: Final[Mapping[str, tuple[State, ...]]] = {
    "done": (State.OK, State.ACCEPTED, State.SKIPPED),
    "rejected": (State.REJECTED,),
    "unprocessed": (State.UNKNOWN, State.PENDING),
}
_LINE, _STATUS, _CODE, _REASON, _MESSAGE = (
    f"{RESERVED}{name}" for name in ("line", "status", "code", "reason", "message")
)
#: Rows of a sheet; a source of several workbooks may have more.
_WORKBOOK_ROWS: Final = 1_048_575
_ADDED: Final = (_LINE, _STATUS, _CODE, _REASON, _MESSAGE, EXTRA)


async def write_results(folder: Path, staging: Staging, source: object) -> None:
    """Write the three files, in the format of the source.

    The result of delimited text is delimited text, that of a workbook a workbook, that of a JSON array an
    array; that of all others is JSON lines. Rows keep their cells and get additional columns, whose names
    begin with ``publitrac_``. Sources drop these columns, so each file can be synced again. Cells that a
    spreadsheet would run as a formula are escaped.
    """
    _make(folder)
    rows = sum((await staging.counts()).values())
    for name, states in FILES.items():
        with _writer(folder / name, source, rows, await _encoding(name, staging, source)) as write:
            async for page in staging.in_states(*states):
                write(page)


async def _encoding(name: str, staging: Staging, source: object) -> str:
    encoding = source.encoding if isinstance(source, FileSource) and source.delimiter else None
    if encoding == "utf-8-sig" and name == "rejected" and await staging.has_undecoded():
        # Without a byte order mark, rows in another encoding can be read again with that encoding.
        return "utf-8"
    return encoding or "utf-8"


@contextmanager
def _writer(
    path: Path, source: object, rows: int, encoding: str
) -> Iterator[Callable[[Sequence[StagedRow]], object]]:
    """Open a result file and yield a function that writes rows to it."""
    if isinstance(source, FileSource) and source.workbook_sheet is not None and rows <= _WORKBOOK_ROWS:
        # The extra is installed: the source has been read with it.
        from publitrac_async.bulk.report.workbook import ResultWorkbook  # noqa: PLC0415

        with _replacing_bytes(path.with_suffix(".xlsx")) as file:
            workbook = ResultWorkbook(file, _columns(source), source.workbook_sheet)
            yield lambda page: workbook.write(_defused(_record(row)) for row in page)
            workbook.close()
    elif isinstance(source, FileSource) and (source.delimiter or source.workbook_sheet is not None):
        delimiter = source.delimiter or ","
        with _replacing(path.with_suffix(".tsv" if delimiter == "\t" else ".csv"), encoding) as text:
            table = csv.writer(text, delimiter=delimiter, lineterminator="\n")
            table.writerow(_columns(source))
            yield lambda page: table.writerows(_cells(row, source.columns) for row in page)
    elif isinstance(source, JsonLinesFile) and source.is_array:
        with _replacing(path.with_suffix(".json"), encoding) as text:
            before = iter(["[\n"])
            yield lambda page: text.writelines(next(before, ",\n") + _json(_record(row)) for row in page)
            text.write(next(before, "") + "\n]\n")
    else:
        with _replacing(path.with_suffix(".jsonl"), encoding) as text:
            yield lambda page: text.writelines(_json(_record(row)) + "\n" for row in page)


def _columns(source: FileSource) -> Sequence[str]:
    return [*source.columns, *_ADDED]


def _defused(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {column: defuse(cell) for column, cell in cells.items()}


def _json(cells: Mapping[str, Any]) -> str:
    return json.dumps(cells, ensure_ascii=False, default=str)


def write_summary(folder: Path, report: Report) -> None:
    """Write the report as ``summary.json``, and as ``report.html`` with charts."""
    _make(folder)
    with _replacing(folder / "summary.json", "utf-8") as file:
        json.dump(report.as_dict(), file, ensure_ascii=False, indent=2)
        file.write("\n")
    with _replacing(folder / "report.html", "utf-8") as file:
        file.write(render(report))


def run_folder(parent: Path, started_at: dt.datetime) -> Path:
    """Create the folder of one run, named after the local time of its start.

    Raises:
        OSError: the folder cannot be created.
    """
    name = started_at.astimezone().strftime("%Y-%m-%d_%H%M%S")
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def mark_latest(folder: Path) -> None:
    """Create links beside `folder` to it (``latest``) and to its files, if the file system supports links."""
    new = folder.with_name(f"{folder.name}.link")
    with suppress(OSError):
        for target in (folder, *folder.iterdir()):
            link = folder.with_name("latest" if target is folder else target.name)
            if link.exists() and not link.is_symlink():  # A file of the user.
                continue
            new.unlink(missing_ok=True)
            new.symlink_to(target.relative_to(folder.parent), target_is_directory=target is folder)
            new.replace(link)


def prepare_folder(folder: Path) -> None:
    """Create the folder of the result files, and check that it is writable.

    Raises:
        ConfigurationError: the folder cannot be written to.
    """
    try:
        _make(folder)
        with _replacing(folder / "summary.json.test", "utf-8"):
            pass
        (folder / "summary.json.test").unlink()
    except OSError as error:
        raise ConfigurationError(f"result files cannot be written to {folder}: {error.strerror}") from None


def remove_if_empty(folder: Path) -> None:
    """Remove a folder without results."""
    with suppress(OSError):
        folder.rmdir()


def _make(folder: Path) -> None:
    # Result files hold personal data: no other user may read them.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write undecodable bytes unchanged, and lone surrogates as their codes."""
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    written = b"".join(
        bytes([ord(character) - 0xDC00])
        if "\udc80" <= character <= "\udcff"
        else character.encode("ascii", "backslashreplace")
        for character in found
    )
    return written, error.end


codecs.register_error("publitrac_async.escape", _escape)


def _fields(row: StagedRow) -> Mapping[str, Any]:
    if not isinstance(row.fields, Lead):
        fields: Mapping[str, Any] = row.fields
        return fields
    found: dict[str, Any] = row.fields.set_fields()
    found.pop("unparsed", None)
    found |= found.pop("custom_fields", {})
    return found


def _cells(row: StagedRow, columns: Sequence[str]) -> list[Any]:
    """Return a row of delimited text, see `_columns`. The csv module writes ``None`` as an empty cell."""
    value_of, outcome = _fields(row).get, row.outcome
    cells = (
        *map(value_of, columns),
        *(row.line, outcome.state, outcome.code, outcome.reason, outcome.message),
        value_of(EXTRA),
    )
    return [defuse(cell) for cell in cells]


def _record(row: StagedRow) -> dict[str, Any]:
    outcome = row.outcome
    added = {
        _LINE: row.line,
        _STATUS: str(outcome.state),
        _CODE: outcome.code or "",
        _REASON: outcome.reason or "",
        _MESSAGE: outcome.message or "",
    }
    return {**_fields(row), **added}


@contextmanager
def _replacing(path: Path, encoding: str) -> Iterator[IO[str]]:
    """Open a new text file that replaces an old one only when it is complete."""
    wide = encoding.startswith(("utf-16", "utf-32"))
    errors = "backslashreplace" if wide else "publitrac_async.escape"
    with (
        _replacing_bytes(path) as file,
        io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text,
    ):
        yield text


@contextmanager
def _replacing_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that replaces an old one only when it is complete."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with open(part, "wb", opener=_open_private) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
