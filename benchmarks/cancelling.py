"""Effect of cancelling a tenth of the calls in flight: on the speed, and on the connection pool.

Each client posts the same number of leads three times: undisturbed, with a tenth cancelled at random moments,
undisturbed again. Then as many calls as the pool has connections must be able to wait for responses at once.
``python cancelling.py NAME PORT CONCURRENCY REQUESTS`` runs one such process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
import urllib.request
from typing import Any

from clients import CLIENTS, NEEDS, Post
from machine import installed, measured, pin, serving, spread

#: Seconds after which the benchmark of a client fails.
TIME_LIMIT = 60
#: Limit on connections, by client: the default of httpx.
MAX_CONNECTIONS = {"httpx": 100}


async def phase(
    post: Post, concurrency: int, requests: int, *, within: float = 0.0
) -> tuple[float, float, int]:
    """Return wall and CPU seconds of the calls, and the number cancelled: a tenth, unless `within` is 0."""
    chance, todo, cancelled = random.Random(35), iter(range(requests)), 0

    async def work() -> None:
        nonlocal cancelled
        for number in todo:
            if not within or number % 10:
                await post()
                continue
            call = asyncio.ensure_future(post())
            await asyncio.wait({call}, timeout=chance.uniform(0, within))
            cancelled += call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call

    gc.collect()  # Every phase starts with the same garbage.
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return time.perf_counter() - wall, time.process_time() - cpu, cancelled


async def whole(post: Post, base: str, calls: int) -> bool:
    """Return True if `calls` can be in flight at once: the server holds all responses until all arrived."""
    with await asyncio.to_thread(urllib.request.urlopen, f"{base}/hold/{calls}", timeout=5) as response:
        response.read()
    try:
        async with asyncio.timeout(5):
            await asyncio.gather(*(post() for _ in range(calls)))
    except Exception:  # noqa: BLE001  (each client has its own errors for a pool without room)
        return False
    return True


async def measure(name: str, port: int, concurrency: int, requests: int) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        post = await stack.enter_async_context(CLIENTS[name](base, concurrency))
        try:
            async with asyncio.timeout(TIME_LIMIT):
                await phase(post, concurrency, requests)
                before, before_cpu, _ = await phase(post, concurrency, requests)
                # Average time of a call: in its first half most calls are still in flight.
                latency = before / requests * concurrency
                during, during_cpu, cancelled = await phase(post, concurrency, requests, within=latency / 2)
                after, after_cpu, _ = await phase(post, concurrency, requests)
        except Exception as error:  # noqa: BLE001  (an error of the client, or a timeout)
            return {"failed": type(error).__name__}
        return {
            "cancelled": cancelled / requests,
            "speed_during": before / during,
            "speed_after": before / after,
            "cpu_us_before": before_cpu / requests * 1e6,
            "cpu_us_during": during_cpu / requests * 1e6,
            "cpu_us_after": after_cpu / requests * 1e6,
            "whole": await whole(post, base, min(concurrency, MAX_CONNECTIONS.get(name, concurrency))),
        }


def run(*, rounds: int, requests: int, concurrency: int = 256) -> dict[str, Any]:
    """Measure speeds relative to the undisturbed phase of the same process; 1.0 means no loss."""
    names = [name for name in CLIENTS if name != "floor" and installed(NEEDS.get(name, "httpx"))]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            count = max(requests // 10, 400) if name == "httpx" else requests
            # A server for each client: one that still holds responses cannot serve the next client.
            with serving() as port:
                results[name].append(measured("cancelling.py", name, port, concurrency, count))
    rows = []
    for name, outcomes in results.items():
        row: dict[str, Any] = {"client": name, "concurrency": concurrency}
        done = [result for result in outcomes if "failed" not in result]
        row["finished"] = len(done) == len(outcomes)
        row["pool_whole"] = row["finished"] and all(result["whole"] for result in done)
        if done:
            for figure in (key for key in done[0] if key != "whole"):
                row |= spread(figure, [result[figure] for result in done])
        else:
            row["failed"] = outcomes[0]["failed"]
        rows.append(row)
    return {"rounds": rounds, "requests": requests, "rows": rows}


def main() -> None:
    name, port, concurrency, requests = sys.argv[1:]
    pin(0)
    print(json.dumps(asyncio.run(measure(name, int(port), int(concurrency), int(requests)))))


if __name__ == "__main__":
    main()
