"""A worker: reads leads from a pipe, one JSON object per line, and syncs eight at a time.

Install publitrac_async, set PUBLITRAC_API_KEY, then run `queue-reader | python worker.py > failed.jsonl`.
Failed lines go to stdout, to be sent later. On SIGTERM it stops reading; leads read so far are synced.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from publitrac_async import Lead, PublitracClient, PublitracError

WORKERS = 8
Queue = asyncio.Queue[bytes | None]


async def read(queue: Queue) -> None:
    """Put every line into the queue. The queue is bounded, so reading waits when PUBLITRAC is slow."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, pipe.close)
    async for line in lines:
        await queue.put(line)
    for _ in range(WORKERS):
        await queue.put(None)


async def sync(queue: Queue, publitrac: PublitracClient) -> None:
    """Sync leads one after another, until the end of the queue."""
    while (line := await queue.get()) is not None:
        try:
            await publitrac.v2.delayed_sync(Lead(**json.loads(line)))
        except (PublitracError, TypeError, ValueError) as error:
            # Error texts contain no personal data; failed lines do.
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            print(line.decode(errors="replace").rstrip("\n"), flush=True)


async def main() -> None:
    """Run until the pipe ends or SIGTERM arrives."""
    queue = Queue(maxsize=100)
    async with PublitracClient.from_env() as publitrac, asyncio.TaskGroup() as group:
        group.create_task(read(queue))
        for _ in range(WORKERS):
            group.create_task(sync(queue, publitrac))


if __name__ == "__main__":
    asyncio.run(main())
