"""What the package promises about speed and limits, and what a run measured of it.

Each figure is taken from the results by one function, which the page, the documentation and the tests share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]
OWN = "publitrac_async"


@dataclass(frozen=True)
class Target:
    """A promise.

    Attributes:
        name: what is measured.
        section: the benchmark that measures it.
        measure: takes the figure from the results of that benchmark.
        least: the figure must be this at least.
        most: the figure must be this at most.
        unit: of the figure.
    """

    name: str
    section: str
    measure: Callable[[Any], float]
    least: float | None = None
    most: float | None = None
    unit: str = ""

    def bound(self) -> str:
        """As text: "at least 0.95"."""
        limit, word = (self.least, "at least") if self.least is not None else (self.most, "at most")
        return f"{word} {limit:,g} {self.unit}".strip()

    def holds(self, value: float) -> bool:
        """Whether a measured figure keeps the promise."""
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


def _tail(section: Results) -> float:
    return max(row["p99_over_p50"] for row in _rows(section, client=OWN, concurrency=256))


def _reading(section: Results) -> float:
    rows = [*section["rows"], *section["filled"]]
    return max(row["times_lxml"] for row in rows if row["reader"].startswith(OWN))


def _growth(section: Results) -> float:
    peaks = [row["peak_mb"] for row in section["runs"]]
    return max(peaks) - min(peaks)


TARGETS = (
    Target(
        "Requests in the busiest second at the server, all scenarios",
        "rate",
        lambda section: max(row["busiest_second"] for row in _own_rate(section)),
        most=35,
    ),
    Target(
        "Share of 35 a second used in a burst",
        "rate",
        lambda section: next(row["used"] for row in _own_rate(section) if row["scenario"] == "burst"),
        least=0.95,
    ),
    Target(
        "CPU of a permit with 10,000 callers waiting, times that with 1", "limiter_cost", _waiting, most=2
    ),
    Target(
        "Speed, times bare aiohttp posting ready bytes (the least of all)",
        "throughput",
        _against("bare aiohttp", "own_speed_ratio", min),
        least=0.9,
    ),
    Target(
        "CPU of a call above bare aiohttp (the most of all)",
        "throughput",
        _against("bare aiohttp", "own_cpu_us_more", max),
        most=25,
        unit="µs",
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
        least=0.95,
    ),
    Target(
        "Runs after which all connections of the pool were usable",
        "cancelling",
        lambda section: float(_rows(section, client=OWN)[0]["pool_whole"]),
        least=1,
    ),
    Target("CPU of a page of 100 leads, typed, times lxml to dicts", "reading", _reading, most=2),
    Target(
        "Longest time that a page of 1,000 holds the event loop",
        "reading",
        lambda s: s["page_of_1000_ms"],
        most=10,
        unit="ms",
    ),
    Target(
        "Rows a second of a bulk run with a state store, the longest one",
        "bulk",
        lambda section: max(section["runs"], key=lambda row: row["rows"])["rows_per_second"],
        least=10_000,
    ),
    Target("Peak memory of it", "bulk", lambda s: max(r["peak_mb"] for r in s["runs"]), most=80, unit="MB"),
    Target("Growth of it from the shortest run to the longest", "bulk", _growth, most=8, unit="MB"),
    Target("import publitrac_async", "start", lambda section: section["import_ms"], most=150, unit="ms"),
    Target(
        "First call after it, log-in included",
        "start",
        lambda section: section["log_in_and_first_call_ms"],
        most=100,
        unit="ms",
    ),
)


def judge(results: Results) -> list[Results]:
    """A row for each target whose benchmark ran; where a peer was missing the figure is ``None``."""
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
