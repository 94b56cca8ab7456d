"""Mixed faults for a long time: `nox -s soak -- 1800`. Prints memory and counts, and fails if they grow.

256 tasks call v1, v2 and Marketo; 2 % of their connections and calls end in each of: reset, close, cut,
HTTP 500, revoked token, cancellation.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from publitrac_async import PublitracError, RetryPolicy, Timeout
from tests.support.four_vendors import lead, marketo, publitrac, respond
from tests.support.wire import Peer, RawServer, Seen, http

TASKS = 256
FAULT = 0.02
#: KiB of memory that each ten minutes may add, after the first fifth of the run. A shorter run may add
#: as much, because its slope would be random.
SLOPE = 1024


def memory() -> int:
    """Return the resident set of this process, in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def counts() -> tuple[int, int, int]:
    """Return the numbers of descriptors, tasks and threads."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), threading.active_count()


async def serve(seen: Seen, peer: Peer) -> bytes | None:
    kind = "application/xml" if seen.path.endswith("/api") else "application/json"
    response = http(respond(seen.method, seen.path), content_type=kind)
    server.seen.clear()
    match int(random.random() / FAULT):
        case 0:
            peer.reset()
            return None
        case 1:
            peer.close()
            return None
        case 2:
            await peer.write(response[:-5])
            peer.close()
            return None
        case 3:
            return http(b"", "500 Internal Server Error")
        case 4:
            return http(b'{"status": "error", "code": 401}', "401 Unauthorized")
        case _:
            return response


server = RawServer(serve)


async def work(clients: tuple[Any, Any], until: float, done: list[int]) -> None:
    first, second = clients
    while time.monotonic() < until:
        call = asyncio.ensure_future(
            random.choice(
                (
                    lambda: first.v1.get_lead("ada@example.com"),
                    lambda: first.v1.sync_lead(lead()),
                    lambda: first.v2.delayed_sync(lead()),
                    lambda: second.sync_leads([{"email": "ada@example.com"}]),
                )
            )()
        )
        if random.random() < FAULT:
            asyncio.get_running_loop().call_later(random.random() * 0.05, call.cancel)
        await asyncio.wait([call])
        if not call.cancelled() and (error := call.exception()) is not None:
            assert isinstance(error, PublitracError), error
        done[0] += 1


async def main(seconds: float) -> bool:
    options = {"timeout": Timeout(total=10), "retry": RetryPolicy(base=0.01, cap=0.1, cost=0)}
    done = [0]
    async with server:
        gc.collect()
        before = counts()
        started = time.monotonic()
        async with publitrac(server.url, **options) as first, marketo(server.url, **options) as second:
            tasks = [
                asyncio.create_task(work((first, second), started + seconds, done)) for _ in range(TASKS)
            ]
            samples: list[tuple[float, int]] = []
            while not all(task.done() for task in tasks):
                await asyncio.sleep(seconds / 100)
                samples.append((time.monotonic() - started, memory()))
            await asyncio.gather(*tasks)
        await asyncio.sleep(1)
        after = counts()
    warm = [sample for sample in samples if sample[0] > seconds / 5]
    grown, minutes = warm[-1][1] - warm[0][1], (warm[-1][0] - warm[0][0]) / 60
    sys.stdout.write(
        f"{done[0]} calls in {seconds:.0f} s; memory {grown:+} KiB in the last {minutes:.1f} minutes\n"
        f"descriptors, tasks, threads: {before} before, {after} after\n"
    )
    # The threads of asyncio's executor stay.
    return grown <= SLOPE * max(1.0, minutes / 10) and after[0] <= before[0] + 2 and after[1] <= before[1]


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.install()
    arguments = [argument for argument in sys.argv[1:] if argument != "uvloop"]
    sys.exit(not asyncio.run(main(float(arguments[0]) if arguments else 1800.0)))
