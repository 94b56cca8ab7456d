"""Use of the rate limit at the latency of a real service, and the number of connections.

A server in another process takes the same time for every response. The program makes calls continuously, with
the client's defaults; the server counts requests after the first seconds, and connections. ``python
latency.py TASK MILLISECONDS SECONDS`` runs one such program; the programs run in parallel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from rate import RATE, counting

#: Milliseconds that a response takes.
SENDING = (50, 400, 1000, 2000, 4000)
READING = (50, 400, 2000)
#: The steady state starts after this number of latencies plus seconds.
RISE, RISE_BESIDES = 4, 3.0
LEADS_GATHERED = 3000


async def send(port: int, seconds: float) -> int:
    """Send leads by `delayed_sync_many` for `seconds`."""
    from publitrac_async import Lead, PublitracClient

    sent = 0
    async with PublitracClient(api_key="key", base_url=f"http://127.0.0.1:{port}") as publitrac:
        leads = (Lead(email=f"lead{number}@example.com") for number in range(1_000_000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for outcome in publitrac.v2.delayed_sync_many(leads):
                    sent += outcome.ok
    return sent


async def read(port: int, seconds: float) -> int:
    """Iterate over all leads for `seconds`."""
    from publitrac_async import PublitracClient

    count = 0
    async with PublitracClient(
        api_key="key", username="user", password="password", base_url=f"http://127.0.0.1:{port}"
    ) as publitrac:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in publitrac.v1.get_leads():
                    count += 1
    return count


async def gather(port: int, count: int) -> int:
    """Make all calls at once, and return the number that succeeded."""
    from publitrac_async import Lead, PublitracClient

    async with PublitracClient(
        api_key="key", base_url=f"http://127.0.0.1:{port}", rate_limit=500
    ) as publitrac:
        leads = [Lead(email=f"lead{number}@example.com") for number in range(count)]
        outcomes = await asyncio.gather(*map(publitrac.v2.delayed_sync, leads), return_exceptions=True)
    return sum(not isinstance(outcome, BaseException) for outcome in outcomes)


def one(task: str, milliseconds: int, seconds: float) -> dict[str, Any]:
    """Run one task against its own server."""
    latency = milliseconds / 1e3
    with counting({"respond_after": (latency, latency)}) as (port, server):
        if task == "gather":
            return {"task": task, "accepted": asyncio.run(gather(port, int(seconds)))}
        import publitrac_async.v1  # noqa: F401  (not while the clock is running)

        rise = RISE * latency + RISE_BESIDES
        began, cpu = time.monotonic(), time.process_time()
        leads = asyncio.run((send if task == "sending" else read)(port, rise + seconds))
        cpu = time.process_time() - cpu
        seen = json.loads(server.communicate("", timeout=30)[0])
    counted = [moment for moment in seen["arrivals"] if rise <= moment - began < rise + seconds]
    return {
        "task": task,
        "latency_ms": milliseconds,
        "per_second": len(counted) / seconds,
        "used": len(counted) / seconds / RATE,
        "connections": seen["connections"],
        # One call waits for its permit, and one connection is spare.
        "connections_over_need": seen["connections"] / (1.3 * RATE * latency + 2),
        "leads": leads,
        "cpu_ms_per_s": cpu / (rise + seconds) * 1e3,
    }


def run(
    *, seconds: float, sending: Sequence[int] = SENDING, reading: Sequence[int] = READING
) -> dict[str, Any]:
    """Run every task at every latency in parallel: 35 calls per second take little CPU."""
    jobs = [("sending", each) for each in sending] + [("reading", each) for each in reading]
    programs = [
        subprocess.Popen(
            [sys.executable, __file__, task, str(latency), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        for task, latency in jobs
    ]
    outputs = [program.communicate(timeout=seconds + 90)[0] for program in programs]
    rows = [json.loads(output) for output in outputs]
    gathered = one("gather", 0, LEADS_GATHERED)
    return {
        "seconds": seconds,
        "gathered": LEADS_GATHERED,
        "accepted": gathered["accepted"],
        "rows": rows,
    }


if __name__ == "__main__":
    task, milliseconds, seconds = sys.argv[1:]
    print(json.dumps(one(task, int(milliseconds), float(seconds))))
