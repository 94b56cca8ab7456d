"""The page of results: tables and bars, one self-contained file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; color: #222 }
h2 { margin-top: 2.5rem } .note { color: #555 } svg text { font: 12px system-ui, sans-serif }
.own { fill: #2563a8 } .other { fill: #b8bec6 }
"""


def bars(title: str, unit: str, rows: Sequence[tuple[str, float]]) -> str:
    """One bar a row; those of this package stand out."""
    widest = max((value for _, value in rows), default=1.0) or 1.0
    lines = []
    for position, (name, value) in enumerate(rows):
        top = position * 26
        kind = "own" if "publitrac_async" in name else "other"
        width = 420 * value / widest
        lines.append(
            f'<text x="255" y="{top + 16}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect class="{kind}" x="265" y="{top + 3}" width="{width:.1f}" height="18" rx="2"/>'
            f'<text x="{270 + width:.1f}" y="{top + 16}">{value:,.4g} {html.escape(unit)}</text>'
        )
    height = len(rows) * 26 + 4
    return (
        f"<h3>{html.escape(title)}</h3>"
        f'<svg viewBox="0 0 800 {height}" width="100%" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(lines)}</svg>"
    )


def throughput_charts(rows: Iterable[dict[str, Any]]) -> str:
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["loop"], row["concurrency"]), []).append(row)
    return "".join(
        bars(
            f"CPU a request, {loop}, {concurrency} in flight",
            "µs",
            [(row["client"], row["cpu_us"]) for row in group],
        )
        for (loop, concurrency), group in groups.items()
    )


def render(results: dict[str, Any]) -> str:
    limits, reading, start = results["limits"], results["reading"], results["start"]
    bulk = results["bulk"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>publitrac_async: benchmarks</title>",
        f"<style>{STYLE}</style><h1>publitrac_async: benchmarks</h1>",
        f'<p class="note">Python {results["python"]}, {html.escape(versions)}.',
        f"Medians of {results['throughput']['rounds']} interleaved rounds. Only ratios within one run carry",
        "to",
        "another machine; <code>benchmarks/README.md</code> says what each figure means.</p>",
        "<h2>Posting a lead</h2>",
        throughput_charts(results["throughput"]["rows"]),
        "<h2>Reading a page of 100 leads</h2>",
        bars("CPU a page", "ms", [(row["reader"], row["cpu_ms"]) for row in reading["rows"]]),
        "<h2>Limiters</h2>",
        bars(
            "Most grants in any second (35 allowed)",
            "",
            [(r["limiter"], r["busiest_second"]) for r in limits["rows"]],
        ),
        bars("Share of 35 a second used", "", [(r["limiter"], r["used"]) for r in limits["rows"]]),
        "<h2>Bulk run with a ledger, through a transport that answers at once</h2>",
        bars("Rows a second", "", [(f"{r['rows']:,} rows", r["rows_per_second"]) for r in bulk["runs"]]),
        bars("Peak memory", "MB", [(f"{r['rows']:,} rows", r["peak_mb"]) for r in bulk["runs"]]),
        "<h2>Start</h2>",
        bars(
            "Wall time",
            "ms",
            [("import", start["import_ms"]), ("log-in and first call", start["log_in_and_first_call_ms"])],
        ),
    ]
    return "\n".join(parts) + "\n"
