"""Memory of calls that wait in the client's queue.

The program makes thousands of calls at once on a client whose limiter is paused, and compares the resident
memory of the process with that before. ``python waiting.py NAME COUNT PORT`` runs one such process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from machine import measured, pin, serving, spread

OWN = "publitrac_async"
#: Seconds in which all calls must have started.
TIME_TO_BEGIN = 30


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * 4096


async def growth(call: Callable[[], Awaitable[object]], count: int, begun: Callable[[], bool]) -> float:
    """Measure the bytes of a waiting call, including its task."""
    gc.collect()
    before = resident()
    tasks = [asyncio.ensure_future(call()) for _ in range(count)]
    async with asyncio.timeout(TIME_TO_BEGIN):
        while not begun():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    gc.collect()
    bytes_each = (resident() - before) / count
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return bytes_each


async def own(count: int, port: int) -> float:
    """Measure calls of this package, while the limiter is paused."""
    from publitrac_async import Lead, PublitracClient
    from publitrac_async.transport.limits import WindowLimiter

    limiter = WindowLimiter(35)
    async with PublitracClient(
        api_key="key", base_url=f"http://127.0.0.1:{port}", limiter=limiter
    ) as publitrac:
        lead = Lead(email="john.doe@provider.com", first_name="John", last_name="Doe", job_title="Programmer")
        await publitrac.v2.delayed_sync(lead)
        limiter.pause(600)
        return await growth(
            lambda: publitrac.v2.delayed_sync(lead),
            count,
            lambda: publitrac.queued + publitrac.in_flight == count,
        )


async def aiohttp_pool(count: int, port: int) -> float:
    """Measure requests of aiohttp, behind a pool of one connection whose response is held back."""
    import aiohttp

    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:

        async def post() -> object:
            async with session.post(f"{base}/lead/", json={"email": "john.doe@provider.com"}) as response:
                return await response.read()

        await post()
        async with session.get(f"{base}/hold/{count}") as response:
            await response.read()
        turns = iter(range(20))
        return await growth(post, count, lambda: next(turns, None) is None)


async def bare_task(count: int, port: int) -> float:
    """Measure tasks that wait for a future: the cost of asyncio itself."""
    del port
    never = asyncio.get_running_loop().create_future()

    async def wait() -> object:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(never)
        return None

    turns = iter(range(20))
    return await growth(wait, count, lambda: next(turns, None) is None)


WAITERS: dict[str, Callable[[int, int], Awaitable[float]]] = {
    OWN: own,
    "bare aiohttp": aiohttp_pool,
    "a task that waits": bare_task,
}


def run(*, rounds: int, calls: int = 10_000) -> dict[str, Any]:
    """Return the bytes of a waiting call, by client."""
    rows = []
    for name in WAITERS:
        found = []
        for _ in range(rounds):
            # A server for each: in the end it holds responses.
            with serving() as port:
                found.append(measured("waiting.py", name, calls, port)["bytes"])
        rows.append({"client": name, **spread("bytes_each", found)})
    return {"rounds": rounds, "calls": calls, "rows": rows}


def main() -> None:
    name, count, port = sys.argv[1:]
    pin(0)
    print(json.dumps({"bytes": asyncio.run(WAITERS[name](int(count), int(port)))}))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
