"""Page of results: the targets, then every benchmark; one self-contained file.

``python page.py RESULTS.json PAGE.html`` writes the page for existing results.
"""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from charts import Bar, bar, chart, number, table

Rows = list[dict[str, Any]]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222 }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem } .note { color: #555 }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600; margin-bottom: .3rem }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: #222 }
.own { fill: #2563a8 } .other { fill: #b8bec6 }
.whisker { stroke: #111; stroke-width: 1.5 } .bound { stroke: #b3261e; stroke-dasharray: 4 3 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd }
th { text-align: left } .number { text-align: right; font-variant-numeric: tabular-nums }
.kept { color: #1b6e3c } .missed { color: #b3261e; font-weight: 600 }
"""


def grouped(rows: Iterable[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], Rows]:
    """Group rows by the values of some keys, in order of appearance."""
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def promises(rows: Rows) -> str:
    lines = ["<table><tr><th>target</th><th>bound</th><th>measured</th><th></th></tr>"]
    for row in rows:
        value = row["measured"]
        measured = "not measured" if value is None else f"{number(value)} {row['unit']}".strip()
        verdict = "" if value is None else '<span class="kept">kept</span>'
        if value is not None and not row["holds"]:
            verdict = '<span class="missed">missed</span>'
        lines.append(
            f"<tr><td>{html.escape(row['target'])}</td><td>{html.escape(row['bound'])}</td>"
            f"<td class=number>{html.escape(measured)}</td><td>{verdict}</td></tr>"
        )
    return "\n".join([*lines, "</table>"])


def throughput(section: dict[str, Any]) -> str:
    parts = []
    for (loop, concurrency), rows in grouped(section["rows"], "loop", "concurrency").items():
        title = f"{loop}, {concurrency} in flight"
        speed = [bar(row["client"], row, "requests_per_second") for row in rows]
        cpu = [bar(row["client"], row, "cpu_us") for row in rows]
        parts.append(f"<h3>{html.escape(title)}</h3>")
        parts.append(chart(f"Requests a second, {title}", "", speed))
        parts.append(chart(f"CPU of a request, {title}", "µs", cpu))
        columns = ("client", "p50 ms", "p99 ms", "p99 / p50", "own speed, times this", "this CPU, times own")
        figures = ("client", "p50_ms", "p99_ms", "p99_over_p50", "own_speed_ratio", "own_cpu_ratio")
        parts.append(table(columns, ([row[figure] for figure in figures] for row in rows)))
    return "".join(parts)


def cancelling(section: dict[str, Any]) -> str:
    done = [row for row in section["rows"] if "speed_after" in row]
    return (
        chart(
            "Speed after a tenth of the calls was cancelled (1 is the speed before)",
            "",
            [bar(row["client"], row, "speed_after") for row in done],
            line=0.97,
        )
        + chart(
            "Speed while a tenth is being cancelled; each one costs a connection",
            "",
            [bar(row["client"], row, "speed_during") for row in done],
        )
        + table(
            ("client", "every run finished", "pool usable after every run"),
            ([row["client"], row["finished"], row["pool_whole"]] for row in section["rows"]),
        )
    )


RATE_FIGURES = (
    "scenario",
    "busiest_second",
    "used",
    "requests",
    "token_requests",
    "errors",
    "server_late_ms",
)


def rate(section: dict[str, Any]) -> str:
    own = [row for row in section["rows"] if row["limiter"].startswith("publitrac_async")]
    parts = [
        chart(
            "publitrac_async: requests in the busiest second at the server",
            "",
            [bar(row["scenario"], row, "busiest_second", own=True) for row in own],
            line=section["allowed"],
        ),
        table(
            (
                "scenario",
                "busiest second",
                "share used",
                "requests",
                "token requests",
                "503s",
                "server late by ms",
            ),
            ([row[figure] for figure in RATE_FIGURES] for row in own),
        ),
    ]
    for (scenario,), rows in grouped(section["rows"], "scenario").items():
        if len(rows) > 1:
            busiest = [bar(row["limiter"], row, "busiest_second") for row in rows]
            used = [bar(row["limiter"], row, "used") for row in rows]
            title = f"All limiters, {scenario}"
            parts.append(
                chart(f"{title}: requests in the busiest second", "", busiest, line=section["allowed"])
            )
            parts.append(chart(f"{title}: share of 35 a second used", "", used, line=1.0))
    return "".join(parts)


def latency(section: dict[str, Any]) -> str:
    parts = [
        chart(
            f"Used part of 35 a second, {task}",
            "",
            [bar(f"{row['latency_ms']} ms", row, "used", own=True) for row in rows],
            line=1.0,
        )
        for (task,), rows in grouped(section["rows"], "task").items()
    ]
    columns = ("task", "latency in ms", "calls a second", "connections", "CPU in ms a second")
    figures = ("task", "latency_ms", "per_second", "connections", "cpu_ms_per_s")
    parts.append(table(columns, ([row[figure] for figure in figures] for row in section["rows"])))
    return "".join(parts) + single(section)


def waiting(section: dict[str, Any]) -> str:
    rows = [bar(row["client"], row, "bytes_each") for row in section["rows"]]
    return chart(f"Memory of each of {section['calls']:,} waiting calls", "bytes", rows)


def limiter_cost(section: dict[str, Any]) -> str:
    return "".join(
        chart(
            f"CPU of a permit at {section['rate']} a second, {waiters:,} callers waiting",
            "µs",
            [bar(row["limiter"], row, "cpu_us") for row in rows],
        )
        for (waiters,), rows in grouped(section["rows"], "waiters").items()
    )


def marketo(section: dict[str, Any]) -> str:
    titles = {
        "sync": "a batch of 300 leads written",
        "bulk": "300 leads in a bulk run",
        "read": "a page of 300 leads read",
    }
    return "".join(
        chart(f"CPU of {titles[operation]}", "ms", [bar(row["client"], row, "cpu_ms") for row in rows])
        + chart("Calls a second", "", [bar(row["client"], row, "calls_per_second") for row in rows])
        for (operation,), rows in grouped(section["rows"], "operation").items()
    )


def reading(section: dict[str, Any]) -> str:
    return "".join(
        chart(
            f"CPU of a page of 100 leads, {what}", "ms", [bar(row["reader"], row, "cpu_ms") for row in rows]
        )
        for what, rows in (("most fields empty", section["rows"]), ("all filled", section["filled"]))
    ) + single(section)


def bulk(section: dict[str, Any]) -> str:
    runs = [(f"{row['rows']:,} rows", row) for row in section["runs"]]
    stages = [Bar(name, value, own=True) for name, value in section["stages_us_per_row"].items()]
    return (
        chart("Rows a second", "", [bar(name, row, "rows_per_second", own=True) for name, row in runs])
        + chart("CPU of a row", "µs", [bar(name, row, "cpu_us_per_row", own=True) for name, row in runs])
        + chart("Peak memory", "MB", [bar(name, row, "peak_mb", own=True) for name, row in runs], line=80)
        + chart("CPU of single stages, for a row", "µs", stages)
        + single(section)
    )


def start(section: dict[str, Any]) -> str:
    rows = section["rows"]
    with_calls = [row for row in rows if row["first_response_ms"] is not None]
    return (
        chart("Import", "ms", [bar(row["program"], row, "import_ms") for row in rows])
        + chart(
            "First response after it",
            "ms",
            [bar(row["program"], row, "first_response_ms") for row in with_calls],
        )
        + single(section)
    )


def single(section: dict[str, Any]) -> str:
    """Write a table of the figures outside of lists."""
    rows = [(name, value) for name, value in section.items() if not isinstance(value, list | dict)]
    return table(("figure", "value"), rows)


SECTIONS = {
    "rate": ("The rate limit, counted at the server", rate),
    "latency": ("The rate limit at the latency of a service, counted at the server", latency),
    "limiter_cost": ("CPU of a permit from a limiter", limiter_cost),
    "waiting": ("Calls that wait in the client", waiting),
    "throughput": ("Posting a lead", throughput),
    "cancelling": ("Cancelled calls", cancelling),
    "marketo": ("Marketo beside the released client", marketo),
    "reading": ("Reading a page of leads", reading),
    "bulk": ("Bulk run with a state store, through a transport without network", bulk),
    "start": ("Start", start),
}


def render(results: dict[str, Any]) -> str:
    """Return the page of a run as HTML."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        "<!doctype html>\n<html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>publitrac_async: benchmarks</title><style>{STYLE}</style>",
        "<h1>publitrac_async: benchmarks</h1>",
        f'<p class="note">{machine["date"]}, {html.escape(machine["processor"])},',
        f"{machine['cores']} cores, load {machine['load_at_start']:.2g} at the start,",
        f"Python {machine['python']}. {html.escape(versions)}.</p>",
        '<p class="note">Bars are medians of rounds in which all took turns, whiskers the lowest and the',
        "highest round. Only ratios within one run apply to another machine.",
        "<code>benchmarks/README.md</code> explains each figure.</p>",
    ]
    if results["quick"]:
        parts.append('<p class="missed">A quick run: a rough check, not evidence.</p>')
    parts += ["<h2>Targets</h2>", promises(results["targets"])]
    for name, (title, draw) in SECTIONS.items():
        if name in results:
            parts += [f"<h2>{html.escape(title)}</h2>", draw(results[name])]
    return "\n".join(parts) + "\n</html>\n"


if __name__ == "__main__":
    given, page = map(Path, sys.argv[1:])
    page.write_text(render(json.loads(given.read_text(encoding="utf-8"))), encoding="utf-8")
