"""Report of a run as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from publitrac_async.bulk import Report, State, Verification
from publitrac_async.bulk.metrics import format_duration
from publitrac_async.bulk.report.model import ReasonCount
from publitrac_async.bulk.rows import Line
from publitrac_async.cli.advice import next_step_after
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.vendors import VENDORS

_SHOWN: Final = 20
_REASONS: Final = {
    State.REJECTED: "Rejected:",
    State.UNKNOWN: "May have been applied:",
    State.PENDING: "Not sent:",
}


def write_report(
    report: Report,
    *,
    as_json: bool,
    sandbox: bool,
    state_store: str | None,
    idempotent: bool,
    always: bool = True,
) -> None:
    """Write the report to stdout.

    Args:
        report: the report.
        as_json: write one line of JSON.
        sandbox: true if the rows were sent to the sandbox.
        state_store: name of the state store for `reconcile`, ``None`` without one.
        idempotent: true if the next run sends rows with an unknown outcome, see `Sink.idempotent`.
        always: write it even with ``--quiet``.
    """
    if as_json:
        to_stdout(json.dumps({"event": "report"} | report.as_dict(), ensure_ascii=False), always=always)
        return
    for line in lines_of(report, sandbox=sandbox, state_store=state_store, idempotent=idempotent):
        to_stdout(line, always=always)


def lines_of(report: Report, *, sandbox: bool, state_store: str | None, idempotent: bool) -> Iterator[str]:
    """Yield the report, line by line."""
    service = "the sandbox" if sandbox else VENDORS[report.sink].service.name
    duration = format_duration(report.seconds)
    yield f"{report.source} to {service} by {report.sink}: {report.rows:,} rows in {duration}"
    for state, count in report.counts.items():
        if count:
            yield f"{count:>9,}  {state}{_remark(report, state)}"
    yield f"{report.rows:>9,}  total"
    for state, title in _REASONS.items():
        yield from _reasons(title, [each for each in report.reasons if each.state is state])
    yield from _warnings(report)
    yield from _rows(
        "Superseded by a later row with the same address:",
        report.duplicates,
        [f"line {each.line} by line {each.superseded_by}" for each in report.superseded],
    )
    if report.verification is not None:
        yield from _verification(report.verification)
    yield from _remarks(report, state_store, idempotent=idempotent)
    if report.results_dir is None and report.rejected and not sandbox:
        yield "The rejected rows were not written to a file: pass --results FOLDER to write them."


def _remarks(report: Report, state_store: str | None, *, idempotent: bool) -> Iterator[str]:
    if report.source_changed:
        yield "The source has changed since the last run: rows were compared one by one."
    if report.stopped is not None:
        yield f"Stopped before the last row: {report.stopped.rstrip('.')}."
        if (step := next_step_after(report.stopped)) is not None:
            yield f"Next: {step}"
    for reason, count in report.pending_reasons.items():
        yield f"{count:,} rows are pending because of {reason.rstrip('.')}."
        if (step := next_step_after(reason)) is not None:
            yield f"Next: {step}"
    if report.pending and state_store is not None:
        yield "Run the same command again to resume the run."
    vendor = VENDORS[report.sink]
    if report.unknown and not idempotent:
        then = "" if state_store is None else f", then run `publitrac-async reconcile {state_store}`"
        yield f"Rows that may have arrived are not sent again: look them up at {vendor.service.name}{then}."
    if report.results_dir is not None:
        yield f"Rows by outcome, summary and report: {report.results_dir}"


def _reasons(title: str, reasons: Sequence[ReasonCount]) -> Iterator[str]:
    if not reasons:
        return
    yield title
    for each in reasons[:_SHOWN]:
        yield f"  {_rows_at(each.count, each.lines)}: {each.reason}"
    if len(reasons) > _SHOWN:
        yield f"  and {len(reasons) - _SHOWN:,} more reasons"


def _warnings(report: Report) -> Iterator[str]:
    if report.warnings:
        yield "Cells that look damaged, and were sent unchanged:"
    for each in report.warnings[:_SHOWN]:
        yield f"  {_rows_at(each.count, each.lines)}, column {each.column}: {each.kind}"
    for name, count in report.withheld.items():
        yield f"Not sent: no in {name} of {count:,} rows, which would revoke an opt-out."


def _rows_at(count: int, lines: Sequence[Line]) -> str:
    if count == 1:
        return f"line {lines[0]}"
    more = ", ..." if count > len(lines) else ""
    return f"{count:,} rows (lines {', '.join(map(str, lines))}{more})"


def _rows(title: str, count: int, rows: Sequence[str]) -> Iterator[str]:
    if not count:
        return
    yield title
    for row in rows[:_SHOWN]:
        yield f"  {row}"
    if count > _SHOWN:
        yield f"  and {count - _SHOWN:,} more"


def _remark(report: Report, state: str) -> str:
    unchanged = report.skipped - report.duplicates
    remarks = {
        "accepted": " (queued by the service, which processes them shortly after)",
        "skipped": f" ({report.duplicates:,} superseded, {unchanged:,} unchanged since an earlier run)",
        "unknown": "  (may have been applied; the response was lost)",
        "pending": " (not sent)",
    }
    return remarks.get(state, "")


def _verification(found: Verification) -> Iterator[str]:
    yield (
        f"Read back through v1: of {found.checked:,} rows, {found.processed:,} match, "
        f"{found.differs:,} differ, {found.missing:,} are missing ({found.read:,} leads were read)."
    )
    for deviation in found.deviations[:_SHOWN]:
        yield f"  line {deviation.line}: {', '.join(deviation.fields) or 'missing'}"
    if found.stopped is not None:
        yield f"Reading back ended early: {found.stopped}."
