"""Targets for speed and limits, and the figures that a run measured for them.

Page, documentation and tests take each figure from the results by the same function. Targets for time are
ratios to a peer in the same run, since microseconds depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]
OWN = "publitrac_async"


@dataclass(frozen=True)
class Target:
    """A target.

    Attributes:
        name: the measured quantity.
        section: the benchmark that measures it.
        measure: takes the figure from the results of that benchmark.
        least: smallest figure that meets the target.
        most: largest figure that meets the target.
        unit: unit of the figure.
    """

    name: str
    section: str
    measure: Callable[[Any], float]
    least: float | None = None
    most: float | None = None
    unit: str = ""

    def bound(self) -> str:
        """Return the bound as text: "at least 0.95"."""
        limit, word = (self.least, "at least") if self.least is not None else (self.most, "at most")
        return f"{word} {limit:,g} {self.unit}".strip()

    def holds(self, value: float) -> bool:
        """Return True if a measured figure meets the target."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def _rows(section: Results, **wanted: object) -> list[Results]:
    found = [row for row in section["rows"] if all(row.get(name) == value for name, value in wanted.items())]
    if not found:
        raise KeyError(str(wanted))
    return found


def _own_rate(section: Results) -> list[Results]:
    return [row for row in section["rows"] if row["limiter"].startswith(OWN)]


def _waiting(section: Results) -> float:
    rows = [row for row in section["rows"] if row["limiter"].startswith(OWN)]
    by_count = {row["waiters"]: row["cpu_us"] for row in rows}
    return by_count[max(by_count)] / by_count[min(by_count)]


def _against(peer: str, figure: str, pick: Callable[[Iterable[float]], float], **wanted: object) -> Any:
    return lambda section: pick(row[figure] for row in _rows(section, client=peer, **wanted))


def _speed(section: Results) -> float:
    rows = [row for row in _rows(section, client="bare aiohttp") if row["concurrency"] > 1]
    return float(min(row["own_speed_ratio"] for row in rows))


def _cpu(section: Results) -> float:
    return float(max(1 / row["own_cpu_ratio"] for row in _rows(section, client="bare aiohttp")))


def _tail(section: Results) -> float:
    return float(max(row["p99_over_p50"] for row in _rows(section, client=OWN, concurrency=256)))


def _reading(section: Results) -> float:
    rows = [*section["rows"], *section["filled"]]
    return float(max(row["times_lxml"] for row in rows if row["reader"].startswith(OWN)))


def _growth(section: Results) -> float:
    peaks = [row["peak_mb"] for row in section["runs"]]
    return float(max(peaks) - min(peaks))


def _used(task: str) -> Callable[[Results], float]:
    return lambda section: min(row["used"] for row in _rows(section, task=task))


def _connections(section: Results) -> float:
    return float(max(row["connections_over_need"] for row in section["rows"]))


TARGETS = (
    Target(
        "Requests in the busiest second at the server, all scenarios",
        "rate",
        lambda section: max(row["busiest_second"] for row in _own_rate(section)),
        most=35,
    ),
    Target(
        "Used part of 35 a second in a burst",
        "rate",
        lambda section: next(row["used"] for row in _own_rate(section) if row["scenario"] == "burst"),
        least=0.95,
    ),
    Target(
        "Used part of 35 a second, sending, latencies of 50 ms to 4 s",
        "latency",
        _used("sending"),
        least=0.93,
    ),
    Target(
        "Used part of 35 a second, reading pages ahead, 50 ms to 2 s", "latency", _used("reading"), least=0.9
    ),
    Target("Connections for it, over 1.3 x rate x latency + 2", "latency", _connections, most=1),
    Target(
        "Part of 3,000 gathered calls that succeeded",
        "latency",
        lambda section: section["accepted"] / section["gathered"],
        least=1,
    ),
    Target(
        "CPU of a permit with 10,000 callers waiting, times that with 1", "limiter_cost", _waiting, most=2
    ),
    Target(
        "Memory of each of 10,000 waiting calls",
        "waiting",
        lambda section: _rows(section, client=OWN)[0]["bytes_each"] / 1000,
        most=3,
        unit="kB",
    ),
    Target("CPU of a call, times bare aiohttp (the most of all)", "throughput", _cpu, most=1.05),
    Target("Speed, times bare aiohttp, 32 and 256 in flight (the least)", "throughput", _speed, least=1),
    Target(
        "Speed, times bare aiohttp, one in flight (the least)",
        "throughput",
        _against("bare aiohttp", "own_speed_ratio", min, concurrency=1),
        least=0.95,
    ),
    Target(
        "Speed, times httpx on httpx-aiohttp, 256 in flight",
        "throughput",
        _against("httpx + httpx-aiohttp", "own_speed_ratio", min, concurrency=256),
        least=3,
    ),
    Target(
        "Speed, times httpx with its defaults, 256 in flight",
        "throughput",
        _against("httpx", "own_speed_ratio", min, concurrency=256),
        least=15,
    ),
    Target("p99 of a call with 256 in flight, times p50", "throughput", _tail, most=3),
    Target(
        "Speed after a tenth of the calls was cancelled, times before",
        "cancelling",
        lambda section: _rows(section, client=OWN)[0]["speed_after"],
        least=0.97,
    ),
    Target(
        "Runs after which all connections of the pool were usable",
        "cancelling",
        lambda section: float(_rows(section, client=OWN)[0]["pool_whole"]),
        least=1,
    ),
    Target("CPU of a page of 100 leads, typed, times lxml to dicts", "reading", _reading, most=1.5),
    Target(
        "Longest hold of the event loop by a page of 1,000",
        "reading",
        lambda s: s["page_of_1000_ms"],
        most=10,
        unit="ms",
    ),
    Target("CPU of a bulk row, times a plain loop", "bulk", lambda s: s["times_loop"], most=5),
    Target(
        "Peak memory of a bulk run",
        "bulk",
        lambda s: max(r["peak_mb"] for r in s["runs"]),
        most=80,
        unit="MB",
    ),
    Target("Growth of it from the shortest run to the longest", "bulk", _growth, most=8, unit="MB"),
    Target(
        "CPU of Marketo's bulk, times sync_leads of the client",
        "marketo",
        lambda s: s["bulk_times_sync"],
        most=2,
    ),
    Target(
        "import publitrac_async, times import aiohttp, httpx",
        "start",
        lambda section: section["import_over_aiohttp_and_httpx"],
        most=1,
    ),
    Target(
        "Import and first call, token request included, times aiohttp with httpx imported",
        "start",
        lambda section: section["first_call_over_aiohttp"],
        most=1.5,
    ),
)


def judge(results: Results) -> list[Results]:
    """Return a row for each target whose benchmark ran; the figure is ``None`` where a peer was missing."""
    rows = []
    for target in TARGETS:
        if target.section not in results:
            continue
        try:
            value = target.measure(results[target.section])
        except (KeyError, StopIteration):
            value = None
        rows.append(
            {
                "target": target.name,
                "section": target.section,
                "measured": value,
                "unit": target.unit,
                "bound": target.bound(),
                "holds": value is not None and target.holds(value),
            }
        )
    return rows
