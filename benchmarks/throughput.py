"""Posting of leads: the SDK compared to bare aiohttp, httpx and a bare protocol; client and server on one
core each.

Clients take turns in one process, round after round, so that a slow moment of the machine affects all of
them; ratios are within a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from clients import CLIENTS, NEEDS
from machine import installed, measured, serving, spread

__all__ = ["run", "serving"]

OWN = "publitrac_async"


def run(
    *,
    rounds: int,
    requests: int,
    concurrencies: Sequence[int] = (1, 32, 256),
    loops: Sequence[str] = ("asyncio", "uvloop"),
) -> dict[str, Any]:
    """Return a row for each client, number of calls in flight and event loop; CPU in µs per request."""
    names = [name for name in CLIENTS if installed(NEEDS.get(name, "httpx"))]
    rows = []
    with serving() as port:
        for loop in loops:
            if loop == "uvloop" and not installed("uvloop"):
                continue
            for concurrency in concurrencies:
                results: dict[str, list[dict[str, float]]] = measured(
                    "clients.py", loop, port, concurrency, requests, rounds, *names
                )
                rows += [_row(name, loop, concurrency, results) for name in names]
    return {"rounds": rounds, "requests": requests, "rows": rows}


def _row(
    name: str, loop: str, concurrency: int, results: dict[str, list[dict[str, float]]]
) -> dict[str, Any]:
    mine, own = results[name], results[OWN]
    return {
        "client": name,
        "loop": loop,
        "concurrency": concurrency,
        **spread("requests_per_second", [_speed(result) for result in mine]),
        **spread("cpu_us", [_cpu(result) for result in mine]),
        "p50_ms": median(result["p50"] for result in mine) * 1e3,
        "p99_ms": median(result["p99"] for result in mine) * 1e3,
        "p99_over_p50": median(result["p99"] / result["p50"] for result in mine),
        # The SDK relative to this client, in the same round.
        **spread("own_speed_ratio", [_speed(a) / _speed(b) for a, b in zip(own, mine, strict=True)]),
        **spread("own_cpu_us_more", [_cpu(a) - _cpu(b) for a, b in zip(own, mine, strict=True)]),
        **spread("own_cpu_ratio", [_cpu(b) / _cpu(a) for a, b in zip(own, mine, strict=True)]),
    }


def _speed(result: dict[str, float]) -> float:
    return result["requests"] / result["wall"]


def _cpu(result: dict[str, float]) -> float:
    return result["cpu"] / result["requests"] * 1e6


if __name__ == "__main__":
    for row in run(rounds=3, requests=3000)["rows"]:
        print(row)
