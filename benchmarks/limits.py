"""Limiters asked by 64 workers for some seconds: most grants in any sliding second, share of 35/s used, CPU.

The clock is the machine's; what is counted are grants, so the network plays no part. For what a server sees
see the tests of the rate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from aiolimiter import AsyncLimiter

from publitrac_async import WindowLimiter


class Limiter(Protocol):
    async def acquire(self) -> None: ...


LIMITERS: dict[str, Callable[[], Limiter]] = {
    "publitrac_async WindowLimiter(35)": lambda: WindowLimiter(35),
    "aiolimiter AsyncLimiter(35, 1)": lambda: AsyncLimiter(35, 1),
    "aiolimiter AsyncLimiter(1, 1/35)": lambda: AsyncLimiter(1, 1 / 35),
}


def busiest_second(times: list[float]) -> int:
    first = busiest = 0
    for position, moment in enumerate(times):
        while moment - times[first] >= 1.0:
            first += 1
        busiest = max(busiest, position - first + 1)
    return busiest


async def grants(limiter: Limiter, seconds: float) -> dict[str, float]:
    times: list[float] = []
    end = time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < end:
            await limiter.acquire()
            times.append(time.monotonic())

    cpu = time.process_time()
    workers = [asyncio.create_task(work()) for _ in range(64)]
    await asyncio.sleep(seconds)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    times = [moment for moment in times if moment < end]
    return {
        "busiest_second": busiest_second(times),
        "used": len(times) / (35 * seconds),
        "cpu_ms_per_s": (time.process_time() - cpu) / seconds * 1e3,
    }


async def crowd(limiter: WindowLimiter, waiters: int) -> float:
    """CPU microseconds to enqueue so many waiters and let them go again."""
    cpu = time.process_time()
    tasks = [asyncio.create_task(limiter.acquire()) for _ in range(waiters)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return (time.process_time() - cpu) / waiters * 1e6


def run(*, seconds: float) -> dict[str, Any]:
    """Each limiter in turn; and the cost of a waiter in a crowd of 1,000 and of 10,000."""
    rows = [{"limiter": name, **asyncio.run(grants(build(), seconds))} for name, build in LIMITERS.items()]
    waiter_us = {count: asyncio.run(crowd(WindowLimiter(35), count)) for count in (1_000, 10_000)}
    return {"seconds": seconds, "rows": rows, "waiter_us": waiter_us}


if __name__ == "__main__":
    print(run(seconds=6))
