"""A worker: takes leads from a pipe, one JSON object a line, and syncs eight at a time.

Install publitrac_async, set PUBLITRAC_API_KEY, then `queue-reader | python worker.py > failed.jsonl`: lines
that failed are written out again, to be sent later. SIGTERM ends the reading; what was read is still synced.
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
    """Put every line into the queue. Its bound makes the sender wait when PUBLITRAC is slow."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, pipe.close)
    async for line in lines:
        await queue.put(line)
    for _ in range(WORKERS):
        await queue.put(None)


async def sync(queue: Queue, publitrac: PublitracClient) -> None:
    """Sync lead after lead, until the queue says that it was the last."""
    while (line := await queue.get()) is not None:
        try:
            await publitrac.v2.delayed_sync(Lead(**json.loads(line)))
        except (PublitracError, TypeError, ValueError) as error:
            # No error text holds personal data; the failed line does.
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
