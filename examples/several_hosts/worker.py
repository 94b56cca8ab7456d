"""A worker: sends the rows of runs that the service begins. Start as many as you like, on any host.

Install publitrac_async[docket], set the variables that common.py names, `python worker.py`. SIGTERM or Ctrl-C
lets its calls end; the other workers send what is left. So they do when it is killed.
"""

from __future__ import annotations

import asyncio
import signal

from common import SOURCES, client, ledger, redis_url

from publitrac_async.bulk import DelayedSync, Stop
from publitrac_async.bulk.engines.docket import serve


async def main() -> None:
    """Send what there is to send, until asked to end."""
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.request)
    async with client() as publitrac:
        await serve(redis_url(), DelayedSync(publitrac.v2), ledger(), sources=SOURCES, workers=8, stop=stop)


if __name__ == "__main__":
    asyncio.run(main())
