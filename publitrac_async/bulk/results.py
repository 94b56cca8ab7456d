"""The result files: every row of the input in one of three, with what became of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from publitrac_async.bulk.formulas import defuse
from publitrac_async.bulk.html import render
from publitrac_async.bulk.report import Report
from publitrac_async.bulk.rows import EXTRA, RESERVED, State
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.spool import Account, Spool
from publitrac_async.models import Lead

#: Which states go into which file.
FILES: Final[Mapping[str, tuple[State, ...]]] = {
    "done": (State.OK, State.ACCEPTED, State.SKIPPED),
    "rejected": (State.REJECTED,),
    "unprocessed": (State.UNKNOWN, State.PENDING),
}
_LINE, _STATUS, _CODE, _REASON = (f"{RESERVED}{name}" for name in ("line", "status", "code", "reason"))
_ADDED: Final = (_LINE, _STATUS, _CODE, _REASON, EXTRA)


async def write_results(folder: Path, spool: Spool, source: object) -> None:
    """Write the three files: as delimited text if the source is, otherwise one JSON object a line.

    Rows stand there as they came, with columns beside them that begin with ``publitrac_``. Sources leave
    these out, so each file can be synchronized again. What a spreadsheet would run as a formula is defused.
    """
    _make(folder)
    table = source if isinstance(source, FileSource) and source.delimiter else None
    suffix = ".jsonl" if table is None else ".tsv" if table.delimiter == "\t" else ".csv"
    encoding = table.encoding if table is not None and table.encoding else "utf-8"
    for name, states in FILES.items():
        with _replacing(folder / f"{name}{suffix}", encoding) as file:
            write = None
            if table is not None:
                writer = csv.DictWriter(
                    file, [*table.columns, *_ADDED], delimiter=table.delimiter or ",", lineterminator="\n"
                )
                writer.writeheader()
                write = writer.writerow
            async for account in spool.accounts(*states):
                if write is None:
                    file.write(json.dumps(_record(account), ensure_ascii=False, default=str) + "\n")
                else:
                    write({column: defuse(cell) for column, cell in _record(account).items()})


def write_summary(folder: Path, report: Report) -> None:
    """Write the report as ``summary.json``, and as ``report.html`` with charts."""
    _make(folder)
    with _replacing(folder / "summary.json", "utf-8") as file:
        json.dump(report.as_dict(), file, ensure_ascii=False, indent=2)
        file.write("\n")
    with _replacing(folder / "report.html", "utf-8") as file:
        file.write(render(report))


def _make(folder: Path) -> None:
    # Result files hold personal data: they are for nobody else to read.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _record(account: Account) -> dict[str, Any]:
    fields = account.row.fields
    if isinstance(fields, Lead):
        fields = fields.set_fields()
        fields.pop("unparsed", None)
        fields |= fields.pop("custom_fields", {})
    added = {
        _LINE: account.row.line,
        _STATUS: str(account.state),
        _CODE: account.code or "",
        _REASON: account.reason or "",
    }
    return {**fields, **added}


@contextmanager
def _replacing(path: Path, encoding: str) -> Iterator[IO[str]]:
    """A new file that takes the place of an old one only when it is whole."""
    part = path.with_name(f"{path.name}.part")
    # Bytes that were no characters go out as they came in.
    errors = "strict" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    try:
        with part.open("w", encoding=encoding, errors=errors, newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
