"""Four processes on one account, counted where it matters: at the service."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.vendor import Vendor
from tests.support.wire import RawServer

from .server import Server

PROCESSES = 4
ROOT = Path(__file__).parents[3]


class Fleet:
    """Worker processes that begin and end together; `outcomes` is there after the end."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes
        self.outcomes: list[dict[str, int]] = []

    async def go(self) -> None:
        for process in self._processes:
            assert process.stdout is not None
            assert (await process.stdout.readline()) == b"ready\n"
        await self._tell()

    async def end(self) -> None:
        await self._tell()
        for process in self._processes:
            output, _ = await process.communicate()
            assert process.returncode == 0
            self.outcomes.append(json.loads(output))

    async def _tell(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            await process.stdin.drain()


@contextlib.asynccontextmanager
async def fleet(base_url: str, tasks: int, **state: Any) -> AsyncIterator[Fleet]:
    settings = {"base_url": base_url, "tasks": tasks, "state": {"account": "the-key"} | state}
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.redis.worker",
            json.dumps({"number": number} | settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for number in range(PROCESSES)
    ]
    try:
        yield Fleet(processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


def arrivals(service: RawServer) -> list[float]:
    return sorted(seen.arrived for seen in service.seen)


def busiest_second(times: list[float]) -> int:
    most = start = 0
    for end, time in enumerate(times):
        while times[start] <= time - 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most


def shares(service: RawServer) -> collections.Counter[str]:
    """Requests of each process."""
    found = (re.search(rb"worker(\d)", seen.body) for seen in service.seen)
    return collections.Counter(match[1].decode() for match in found if match)


@pytest.mark.slow
async def test_the_limit_is_kept_used_and_shared(server: Server) -> None:
    vendor = Vendor()
    async with RawServer(vendor) as service, fleet(service.url, 10, url=server.url) as workers:
        await workers.go()
        await asyncio.sleep(8)
        await workers.end()
    times = arrivals(service)
    assert busiest_second(times) <= 35
    used = sum(1.0 < time - times[0] <= 7.0 for time in times) / 6
    assert used >= 0.95 * 35
    fair = len(times) / PROCESSES
    assert len(shares(service)) == PROCESSES
    assert min(shares(service).values()) >= fair / 2
    assert vendor.log_ins == 1
    assert all(set(outcome) == {"ok"} for outcome in workers.outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("on_unavailable", ["raise", "local"])
async def test_the_limit_holds_whatever_happens_to_redis(server: Server, on_unavailable: str) -> None:
    vendor = Vendor()
    # Where each has its share, they wait for each other after an outage.
    patience = 2.0 if on_unavailable == "raise" else 4.0
    options = {"url": server.url, "on_unavailable": on_unavailable, "processes": PROCESSES}
    async with RawServer(vendor) as service, fleet(service.url, 10, **options) as workers:
        await workers.go()
        await asyncio.sleep(1.0)
        await server.forget_scripts()
        await asyncio.sleep(0.5)
        await server.cut_connections()
        await asyncio.sleep(0.5)
        await server.stall(2.0)
        await asyncio.sleep(patience)
        await server.restart()
        await asyncio.sleep(patience)
        recovered = len(service.seen)
        await asyncio.sleep(1.0)
        await workers.end()
    assert busiest_second(arrivals(service)) <= 35
    # It goes on, in every process.
    assert len(service.seen) - recovered > 20
    assert len(shares(service)) == PROCESSES
    # What failed may be repeated, and where each has its share nothing fails.
    allowed = {"ok"} if on_unavailable == "local" else {"ok", "LimiterUnavailable"}
    assert all(set(outcome) <= allowed for outcome in workers.outcomes)
    # The restart lost the token.
    assert vendor.log_ins <= 1 + PROCESSES
