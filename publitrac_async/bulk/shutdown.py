"""A request to end a run before its last row."""

from __future__ import annotations

import asyncio
from typing import Any


class Shutdown:
    """A request to end a run: the first one drains it, the second one aborts it.

    Pass one to `sync_leads` and call `request` from a signal handler of the event loop.

    Attributes:
        draining: set by the first request: calls in flight complete, no call starts.
        aborting: set by the second request: calls in flight are cancelled.
    """

    def __init__(self) -> None:
        self.draining: asyncio.Event = asyncio.Event()
        self.aborting: asyncio.Event = asyncio.Event()

    def request(self) -> None:
        """Request the end of the run; a second request aborts calls in flight."""
        (self.aborting if self.draining.is_set() else self.draining).set()

    @property
    def requested(self) -> bool:
        """True after the first request."""
        return self.draining.is_set()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
