"""The report as a web page: no script, no external resource, no personal data."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import accumulate
from typing import Final

from publitrac_async.bulk.metrics import Bucket, format_duration
from publitrac_async.bulk.report.model import Report
from publitrac_async.bulk.rows import FINAL, Line, State

_COLORS: Final = {
    State.OK: "#2a7f4f",
    State.ACCEPTED: "#3b7dd8",
    State.REJECTED: "#c8442f",
    State.SKIPPED: "#8a8f98",
    State.UNKNOWN: "#c98a12",
    State.PENDING: "#b9bdc4",
}
_MEANINGS: Final = {
    State.OK: "processed by the service",
    State.ACCEPTED: "queued by the service, which processes them shortly after",
    State.REJECTED: "found invalid by a check before the call, or by the service",
    State.SKIPPED: "unchanged since an earlier run, or superseded by a later row",
    State.UNKNOWN: "may have been applied: the response was lost",
    State.PENDING: "not sent or not executed; the next run sends them",
}
#: Dimensions of a chart, in units of its view box: whole chart, and margins for labels.
_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 64
_BOTTOM: Final = 28
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #667; --line: #d5d8de; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaee; --soft: #a0a6b0; --line: #3a3f49; --paper: #16181d; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.soft, td.soft, span.soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
@media (max-width: 34rem) { svg text { font-size: 22px; } }
.axis { stroke: var(--line); } .limit { stroke: #c8442f; stroke-dasharray: 6 4; stroke-width: 1.5; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .5em; border-radius: 2px; }
"""


def render(report: Report) -> str:
    """Return the page as HTML."""
    title = f"{report.source}: {report.rows:,} rows"
    ended = f"Stopped before the last row: {report.stopped}." if report.stopped else "The run is complete."
    left = [
        f" {count:,} rows are pending because of {reason}" for reason, count in report.pending_reasons.items()
    ]
    ended += "".join(left)
    started = f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC"
    facts = f"sent to {report.sink}, started {started}, took {format_duration(report.seconds)}. {ended}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=soft>{escape(facts)}</p>",
        "<h2>Outcomes of the rows</h2>",
        _outcomes(report),
        *_verification(report),
        *_reasons(report),
        *_warnings(report),
        f"<h2>{_unit(report.timeline).capitalize()}</h2>",
        _rate_chart(report.timeline, None if report.rate_limit is None else report.rate_limit.per_second),
        "<h2>Outcomes over time</h2>",
        _outcome_chart(report.timeline),
        "<h2>Errors by kind</h2>",
        _error_chart(report),
        *_rejections(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _meaning(report: Report, state: State) -> str:
    if state is State.SKIPPED and report.skipped:
        unchanged = report.skipped - report.duplicates
        return f"{unchanged:,} unchanged since an earlier run, {report.duplicates:,} superseded by later rows"
    return _MEANINGS[state]


def _outcomes(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{_swatch(state)}{state}</td>"
        f"<td class=number>{count:,}</td><td class=soft>{_meaning(report, state)}</td></tr>"
        for state, count in report.counts.items()
    )
    total = f"<tr><td>total</td><td class=number>{report.rows:,}</td><td></td></tr>"
    return f"<table>{rows}{total}</table>"


def _reasons(report: Report) -> list[str]:
    if not report.reasons:
        return []
    rows = "".join(
        f"<tr><td>{_swatch(each.state)}{each.state}</td><td class=number>{each.count:,}</td>"
        f"<td>{escape(each.reason)}<br><span class=soft>{_lines(each.lines, each.count)}</span></td></tr>"
        for each in report.reasons
    )
    return ["<h2>Reasons</h2>", f"<table>{rows}</table>"]


def _warnings(report: Report) -> list[str]:
    """Return the withheld consent flags, and the cells that look damaged."""
    withheld = [
        f"<p>{count:,} rows have no in {escape(name)}. It was not sent: it would revoke an opt-out.</p>"
        for name, count in report.withheld.items()
    ]
    rows = "".join(
        f"<tr><td>{escape(each.column)}</td><td class=number>{each.count:,}</td><td>{escape(each.kind)}<br>"
        f"<span class=soft>{_lines(each.lines, each.count)}</span></td></tr>"
        for each in report.warnings
    )
    return [
        *(["<h2>Consent</h2>", *withheld] if withheld else []),
        *(["<h2>Cells that look damaged</h2>", f"<table>{rows}</table>"] if rows else []),
    ]


def _lines(lines: Sequence[Line], count: int) -> str:
    return escape(f"lines {', '.join(map(str, lines))}{', ...' if count > len(lines) else ''}")


def _merged(timeline: Sequence[Bucket]) -> list[Bucket]:
    """Join buckets shorter than a second with adjacent ones: their rate is meaningless."""
    merged: list[Bucket] = []
    for bucket in timeline:
        if merged and (merged[-1].seconds < 1 or bucket.seconds < 1):
            merged[-1] = merged[-1].join(bucket)
        else:
            merged.append(bucket)
    return merged


def _rejections(report: Report) -> list[str]:
    if not report.rejections:
        return []
    rows = "".join(
        f"<tr><td class=number>{escape(str(each.line))}</td><td>{escape(each.reason)}</td></tr>"
        for each in report.rejections
    )
    more = report.rejected - len(report.rejections)
    note = f"<p class=soft>and {more:,} more in the file of rejected rows</p>" if more else ""
    return ["<h2>Rejected rows</h2>", f"<table><tr><th>line</th><th>reason</th></tr>{rows}</table>{note}"]


def _verification(report: Report) -> list[str]:
    found = report.verification
    if found is None:
        return []
    ended = f" Reading ended early: {escape(found.stopped)}." if found.stopped else ""
    text = (
        f"Of {found.checked:,} rows, {found.processed:,} match, {found.differs:,} differ, "
        f"{found.missing:,} are missing.{ended}"
    )
    return ["<h2>Read back through v1</h2>", f"<p>{text}</p>"]


def _rate_chart(timeline: Sequence[Bucket], limit: float | None) -> str:
    if not timeline:
        return _nothing("Nothing was sent.")
    unit, timeline = _unit(timeline), _merged(timeline)
    rates = [
        (sum(bucket.outcomes.values()) if bucket.calls is None else bucket.calls) / bucket.seconds
        for bucket in timeline
    ]
    top = max([*rates, limit or 0, 1]) * 1.1
    seconds = sum(bucket.seconds for bucket in timeline)
    bars, at = [], 0.0
    for bucket, rate in zip(timeline, rates, strict=True):
        left, right = _x(at, seconds), _x(at + bucket.seconds, seconds)
        at += bucket.seconds
        bars.append(
            f'<rect x="{left:.1f}" y="{_y(rate, top):.1f}" width="{max(right - left - 0.5, 0.5):.1f}" '
            f'height="{_y(0, top) - _y(rate, top):.1f}" fill="{_COLORS[State.ACCEPTED]}">'
            f"<title>{rate:.1f} {unit}</title></rect>"
        )
    if limit is not None:
        y = _y(limit, top)
        bars.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        bars.append(f'<text x="{_WIDTH}" y="{y - 4:.1f}" text-anchor="end">limit {limit:g}</text>')
    return _chart(f"{unit} over time", bars, top, seconds)


def _unit(timeline: Sequence[Bucket]) -> str:
    metered = all(bucket.calls is not None for bucket in timeline)
    return "calls per second" if metered else "rows per second"


def _outcome_chart(timeline: Sequence[Bucket]) -> str:
    if not timeline:
        return _nothing("Nothing was sent.")
    seconds = sum(bucket.seconds for bucket in timeline)
    times = [0.0, *accumulate(bucket.seconds for bucket in timeline)]
    below = [0] * len(times)
    areas = []
    states = [state for state in FINAL if any(bucket.outcomes.get(state) for bucket in timeline)]
    top = max(sum(sum(bucket.outcomes.values()) for bucket in timeline), 1)
    for state in states:
        counts = [0, *accumulate(bucket.outcomes.get(state, 0) for bucket in timeline)]
        above = [low + count for low, count in zip(below, counts, strict=True)]
        outline = [*zip(times, above, strict=True), *reversed(list(zip(times, below, strict=True)))]
        points = " ".join(f"{_x(at, seconds):.1f},{_y(count, top):.1f}" for at, count in outline)
        title = f"<title>{state}: {counts[-1]:,}</title>"
        areas.append(f'<polygon points="{points}" fill="{_COLORS[state]}">{title}</polygon>')
        below = above
    legend = " ".join(f"{_swatch(state)}{state}" for state in states)
    return _chart("rows with an outcome, cumulative over time", areas, top, seconds) + f"<p>{legend}</p>"


def _error_chart(report: Report) -> str:
    if not report.errors:
        return _nothing("No errors.")
    most = max(report.errors.values())
    height = 24 * len(report.errors)
    bars = []
    for number, (kind, count) in enumerate(report.errors.items()):
        y = 24 * number
        width = max((_WIDTH - 320) * count / most, 1)
        bars.append(
            f'<text x="210" y="{y + 16}" text-anchor="end">{escape(kind)}</text>'
            f'<rect x="220" y="{y + 4}" width="{width:.1f}" height="16" fill="{_COLORS[State.REJECTED]}"/>'
            f'<text x="{226 + width:.1f}" y="{y + 16}">{count:,}</text>'
        )
    return _svg("rows by kind of error", height, bars)


def _chart(title: str, marks: Sequence[str], top: float, seconds: float) -> str:
    base = _y(0, top)
    axes = [
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>'
        for value in (0, top / 2, top)
        for y in (_y(value, top),)
    ]
    times = [
        f'<text x="{_x(at, seconds):.1f}" y="{base + 18:.1f}" text-anchor="{anchor}">'
        f"{format_duration(at)}</text>"
        for at, anchor in ((0.0, "start"), (seconds / 2, "middle"), (seconds, "end"))
    ]
    return _svg(title, _HEIGHT, [*axes, *marks, *times])


def _svg(title: str, height: int, content: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">\n' + "\n".join(content) + "\n</svg>"
    )


def _swatch(state: State) -> str:
    return f'<span class=swatch style="background:{_COLORS[state]}"></span>'


def _nothing(text: str) -> str:
    return f"<p class=soft>{text}</p>"


def _x(at: float, seconds: float) -> float:
    return _LEFT + (_WIDTH - _LEFT) * at / seconds


def _y(value: float, top: float) -> float:
    plot = _HEIGHT - _BOTTOM - 8
    return 8 + plot * (1 - value / top)
