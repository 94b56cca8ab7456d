"""Bars as inline SVG, and tables as HTML, without scripts and further files."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NAMES, WIDTH, ROW = 300, 380, 24


@dataclass
class Bar:
    """Bar of a chart. `low` and `high` become a whisker; `own` highlights this package."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    own: bool = False


def bar(name: str, row: dict[str, Any], figure: str, *, own: bool = False) -> Bar:
    """Make a bar for a figure of a row, with its spread if `machine.spread` added one."""
    low, high = row.get(f"{figure}_min"), row.get(f"{figure}_max")
    return Bar(name, row[figure], low, high, own=own or "publitrac_async" in name)


def number(value: float) -> str:
    """Write a number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def chart(title: str, unit: str, rows: Sequence[Bar], *, line: float | None = None) -> str:
    """Draw horizontal bars from 0. `line` marks a bound; whiskers go from the lowest to the highest round."""
    widest = max([row.high or row.value for row in rows] + [line or 0.0], default=1.0) or 1.0
    scale = WIDTH / widest
    height = len(rows) * ROW + 4
    parts = []
    for position, row in enumerate(rows):
        top = position * ROW
        width = row.value * scale
        text = f"{number(row.value)} {unit}".strip()
        # Put the text after the bar and its whisker, and after a bound that is close to them.
        end = max(width, (row.high or 0.0) * scale)
        if line is not None and 0 <= line * scale - end < 60:
            end = line * scale
        at = NAMES + end + 8
        parts.append(
            f'<text x="{NAMES - 8}" y="{top + 16}" text-anchor="end">{html.escape(row.name)}</text>'
            f'<rect class="{"own" if row.own else "other"}" x="{NAMES}" y="{top + 4}" '
            f'width="{width:.1f}" height="{ROW - 8}" rx="2"/>'
            f'<text x="{at:.1f}" y="{top + 16}">{html.escape(text)}</text>'
        )
        if row.low is not None and row.high is not None:
            left, right, middle = NAMES + row.low * scale, NAMES + row.high * scale, top + ROW / 2
            parts.append(f'<path class="whisker" d="M{left:.1f} {middle}H{right:.1f}"/>')
    if line is not None:
        at = NAMES + line * scale
        parts.append(f'<path class="bound" d="M{at:.1f} 0V{height}"/>')
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {NAMES + WIDTH + 110} {height}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table. Cells are escaped, numbers aligned to the right."""
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in rows:
        cells = []
        for cell in row:
            plain = isinstance(cell, str | bool) or cell is None
            text = str(cell) if plain else number(cell)  # type: ignore[arg-type]  # what is left are numbers
            cells.append(f"<td{'' if plain else ' class=number'}>{html.escape(text)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</table>"])
