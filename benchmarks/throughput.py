"""Posting leads: the SDK beside bare aiohttp, httpx and a bare protocol, one server, one core each.

Clients take turns, round after round, so that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from clients import CLIENTS

HERE = Path(__file__).parent


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """The port of a server in a process of its own, on the second core."""
    server = subprocess.Popen(
        [sys.executable, HERE / "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(server.pid, {1})
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(timeout=10)


def one(name: str, port: int, concurrency: int, requests: int, *, uvloop: bool) -> dict[str, float]:
    command = [sys.executable, HERE / "clients.py", name, str(port), str(concurrency), str(requests)]
    done = subprocess.run(
        [*command, *(["uvloop"] if uvloop else [])], check=True, capture_output=True, text=True, timeout=300
    )
    return json.loads(done.stdout)


def run(*, rounds: int, requests: int) -> dict[str, Any]:
    """Medians by client, concurrency and event loop; CPU in microseconds a request."""
    rows = []
    with serving() as port:
        for uvloop in (False, True):
            for concurrency in (1, 32, 256):
                results: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
                for _ in range(rounds):
                    for name in CLIENTS:
                        # httpx slows down so much with concurrency that it gets fewer requests.
                        count = requests // 10 if name == "httpx" and concurrency > 1 else requests
                        results[name].append(one(name, port, concurrency, count, uvloop=uvloop))
                for name, measured in results.items():
                    cpu = [result["cpu"] / result["requests"] * 1e6 for result in measured]
                    rows.append(
                        {
                            "client": name,
                            "loop": "uvloop" if uvloop else "asyncio",
                            "concurrency": concurrency,
                            "requests_per_second": median(r["requests"] / r["wall"] for r in measured),
                            "cpu_us": median(cpu),
                            "cpu_us_min": min(cpu),
                            "cpu_us_max": max(cpu),
                            "p50_ms": median(r["p50"] for r in measured) * 1e3,
                            "p99_ms": median(r["p99"] for r in measured) * 1e3,
                        }
                    )
    return {"rounds": rounds, "requests": requests, "rows": rows}
