"""A worker: sends the rows of runs that the service starts. Start any number of workers, on any host.

Install publitrac_async[docket], set the variables of common.py, then run `python worker.py`. On SIGTERM or
Ctrl-C it completes its calls in flight. Other workers send the rest, even if it is killed.
"""

from __future__ import annotations

import asyncio
import signal

from common import SOURCES, client, shared_redis

from publitrac_async.bulk import PublitracV2Sink, RedisStateStore, Shutdown, serve


async def main() -> None:
    """Send rows until a signal."""
    shutdown = Shutdown()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shutdown.request)
    async with shared_redis() as shared, client(shared) as publitrac:
        sink = PublitracV2Sink(publitrac.v2)
        await serve(sink, RedisStateStore(shared), sources=SOURCES, concurrency=8, shutdown=shutdown)


if __name__ == "__main__":
    asyncio.run(main())
