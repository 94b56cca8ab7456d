"""Result files: every row of the source in one of three files, with its outcome."""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from publitrac_async.bulk.formulas import defuse
from publitrac_async.bulk.report.html import render
from publitrac_async.bulk.report.model import Report
from publitrac_async.bulk.rows import EXTRA, RESERVED, StagedRow, State
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.staging import Staging
from publitrac_async.errors import ConfigurationError
from publitrac_async.models import Lead

#: States of the rows by name of the file.
FILES: Final[Mapping[str, tuple[State, ...]]] = {
    "done": (State.OK, State.ACCEPTED, State.SKIPPED),
    "rejected": (State.REJECTED,),
    "unprocessed": (State.UNKNOWN, State.PENDING),
}
_LINE, _STATUS, _CODE, _REASON = (f"{RESERVED}{name}" for name in ("line", "status", "code", "reason"))
_ADDED: Final = (_LINE, _STATUS, _CODE, _REASON, EXTRA)


async def write_results(folder: Path, staging: Staging, source: object) -> None:
    """Write the three files: delimited text for a delimited source, otherwise JSON lines.

    Rows keep their cells and get more columns, which begin with ``publitrac_``. Sources drop these columns,
    so each file can be synchronized again. Cells that a spreadsheet would run as a formula are escaped.
    """
    _make(folder)
    table = source if isinstance(source, FileSource) and source.delimiter else None
    suffix = ".jsonl" if table is None else ".tsv" if table.delimiter == "\t" else ".csv"
    declared = table.encoding if table is not None and table.encoding else "utf-8"
    for name, states in FILES.items():
        encoding = declared
        if encoding == "utf-8-sig" and name == "rejected" and await staging.has_undecoded():
            # With a byte order mark the bytes of another encoding could not be read again.
            encoding = "utf-8"
        with _replacing(folder / f"{name}{suffix}", encoding) as file:
            write = None
            if table is not None:
                writer = csv.DictWriter(
                    file, [*table.columns, *_ADDED], delimiter=table.delimiter or ",", lineterminator="\n"
                )
                writer.writeheader()
                write = writer.writerow
            async for row in staging.in_states(*states):
                if write is None:
                    file.write(json.dumps(_record(row), ensure_ascii=False, default=str) + "\n")
                else:
                    write({column: defuse(cell) for column, cell in _record(row).items()})


def write_summary(folder: Path, report: Report) -> None:
    """Write the report as ``summary.json``, and as ``report.html`` with charts."""
    _make(folder)
    with _replacing(folder / "summary.json", "utf-8") as file:
        json.dump(report.as_dict(), file, ensure_ascii=False, indent=2)
        file.write("\n")
    with _replacing(folder / "report.html", "utf-8") as file:
        file.write(render(report))


def prepare_folder(folder: Path) -> None:
    """Create the folder of the result files, and try to write to it.

    Raises:
        ConfigurationError: that is impossible.
    """
    try:
        _make(folder)
        with _replacing(folder / "summary.json.test", "utf-8"):
            pass
        (folder / "summary.json.test").unlink()
    except OSError as error:
        raise ConfigurationError(f"result files cannot be written to {folder}: {error.strerror}") from None


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


def _record(row: StagedRow) -> dict[str, Any]:
    fields = row.fields
    if isinstance(fields, Lead):
        fields = fields.set_fields()
        fields.pop("unparsed", None)
        fields |= fields.pop("custom_fields", {})
    outcome = row.outcome
    added = {
        _LINE: row.line,
        _STATUS: str(outcome.state),
        _CODE: outcome.code or "",
        _REASON: outcome.reason or "",
    }
    return {**fields, **added}


@contextmanager
def _replacing(path: Path, encoding: str) -> Iterator[IO[str]]:
    """Open a new file that replaces an old one only when it is complete."""
    part = path.with_name(f"{path.name}.part")
    wide = encoding.startswith(("utf-16", "utf-32"))
    errors = "backslashreplace" if wide else "publitrac_async.escape"
    part.unlink(missing_ok=True)
    try:
        with open(part, "w", encoding=encoding, errors=errors, newline="", opener=_open_private) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
