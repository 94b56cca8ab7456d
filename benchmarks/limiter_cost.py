"""CPU of a permit from a limiter, with 1, 100 and 10,000 callers waiting.

The callers acquire permits continuously; CPU is measured once all of them are in the queue. The rate is high,
for enough permits in a short time. ``python limiter_cost.py NAME WAITERS SECONDS`` runs one such process.
`rate.py` measures if limiters keep their rate.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from limiters import LIMITERS, present
from machine import measured, pin, spread

#: Permits per second. asyncio's timers fire up to a millisecond late, so limiters that sleep for each permit
#: could not keep a much higher rate.
RATE = 500


async def cost(name: str, waiters: int, seconds: float) -> dict[str, float]:
    """Measure CPU microseconds per permit, and permits per second."""
    build, _ = LIMITERS[name]
    limiter = build(RATE)
    granted = 0

    async def work() -> None:
        nonlocal granted
        while True:
            await limiter.acquire()
            granted += 1
            # A real caller would send now; without a pause the first one would take the whole burst.
            await asyncio.sleep(0)

    workers = [asyncio.create_task(work()) for _ in range(waiters)]
    # Wait for the end of the burst, until all callers are in the queue.
    while granted < RATE // 2:
        await asyncio.sleep(0.01)
    first, wall, cpu = granted, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds or granted == first:
        await asyncio.sleep(0.05)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    result = {"cpu_us": cpu / (granted - first) * 1e6, "grants_per_second": (granted - first) / wall}
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return result


def run(*, rounds: int, seconds: float, waiters: Sequence[int] = (1, 100, 10_000)) -> dict[str, Any]:
    """Return a row for each limiter and number of callers; limiters take turns."""
    names = present()
    rows = []
    for count in waiters:
        results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                results[name].append(measured("limiter_cost.py", name, count, seconds))
        rows += [
            {
                "limiter": name,
                "waiters": count,
                **spread("cpu_us", [result["cpu_us"] for result in mine]),
                **spread("grants_per_second", [result["grants_per_second"] for result in mine]),
            }
            for name, mine in results.items()
        ]
    return {"rounds": rounds, "seconds": seconds, "rate": RATE, "rows": rows}


def main() -> None:
    name, waiters, seconds = sys.argv[1:]
    pin(0)
    print(json.dumps(asyncio.run(cost(name, int(waiters), float(seconds)))))


if __name__ == "__main__":
    main()
