"""How a run is asked to end before its last row."""

from __future__ import annotations

import asyncio
from typing import Any


class Stop:
    """How a run is asked to end: the first request lets it drain, the second cancels what is in flight.

    Hand one to `sync_leads` and call `request` from a signal handler of the event loop.
    """

    def __init__(self) -> None:
        self._requests = (asyncio.Event(), asyncio.Event())

    def request(self) -> None:
        """Ask, or ask once more."""
        first, second = self._requests
        (second if first.is_set() else first).set()

    @property
    def requested(self) -> bool:
        """Whether the run was asked to end."""
        return self._requests[0].is_set()

    async def wait(self, requests: int) -> None:
        """Wait for the first or second request."""
        await self._requests[requests - 1].wait()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that still run, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
