"""One of several processes on one account: syncs leads until it is stopped, then prints their outcomes."""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time
from typing import Any

from publitrac_async import Lead, PublitracClient, PublitracError
from publitrac_async.shared import SharedRedis


async def longest_stall() -> float:
    """Measure until cancelled; return the longest time, in seconds, for which this process could not run."""
    longest = 0.0
    try:
        while True:
            asleep = time.monotonic()
            await asyncio.sleep(0.002)
            longest = max(longest, time.monotonic() - asleep - 0.002)
    except asyncio.CancelledError:
        return longest


async def main(number: int, base_url: str, tasks: int, state: dict[str, Any]) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    stopped = asyncio.Event()
    shared = SharedRedis(**state)
    publitrac = PublitracClient(
        api_key="the-key",
        base_url=base_url,
        concurrency=tasks,
        shared=shared,
    )

    async def sync(task: int) -> None:
        while not stopped.is_set():
            try:
                await publitrac.v2.delayed_sync(Lead(email=f"worker{number}.{task}@example.com"))
            except PublitracError as error:
                outcomes[f"{type(error).__name__}{'' if error.retryable else ', for good'}"] += 1
                await asyncio.sleep(0.05)
            else:
                outcomes["ok"] += 1

    print("ready", flush=True)  # noqa: T201  (the test waits for it)
    await asyncio.to_thread(sys.stdin.readline)
    stalls = asyncio.create_task(longest_stall())
    running = [asyncio.create_task(sync(task)) for task in range(tasks)]
    await asyncio.to_thread(sys.stdin.readline)
    stopped.set()
    await asyncio.gather(*running)
    await publitrac.aclose()
    await shared.aclose()
    stalls.cancel()
    print(json.dumps({"stall": await stalls, "outcomes": outcomes}), flush=True)  # noqa: T201  (the test reads it)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
