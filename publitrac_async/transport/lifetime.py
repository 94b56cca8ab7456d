"""Lifetime of a client: its process and event loop, its calls in flight, its closing."""

from __future__ import annotations

import asyncio
import os

from publitrac_async.config import CLOSE_GRACE, Timeout
from publitrac_async.errors import ClientStateError
from publitrac_async.transport.deadline import Alarms, Deadline


class Lifetime:
    """Checks that calls are allowed in this process and event loop. All views of a client share it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._closing = asyncio.Event()
        self._alarms: Alarms | None = None
        #: Deadlines of the calls that have not ended.
        self.calls: set[Deadline] = set()
        #: True once `end_calls` stops the calls that did not end within `CLOSE_GRACE`.
        self.grace_ended: bool = False

    def check_open(self) -> None:
        """Refuse calls of a closed client.

        Raises:
            ClientStateError: the client is closed.
        """
        if self._closing.is_set():
            raise ClientStateError("the client is closed: open a new one")

    def check_affinity(self) -> None:
        """Refuse calls from another event loop or process than that of the first call.

        Raises:
            ClientStateError: the event loop or process differs.
        """
        if self._process != os.getpid():
            raise ClientStateError(
                "the client was opened in another process: open one in each process, after the fork"
            )
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._alarms = Alarms()
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to another event loop: open one client in each loop, inside it"
            )

    def deadline(self, timeout: Timeout) -> Deadline:
        """Start the time limits of a call, which is in the queue.

        Raises:
            ClientStateError: the client is closed, or the event loop or process differs.
        """
        self.check_open()
        self.check_affinity()
        deadline = Deadline(timeout.total, timeout.queue, queued=True, alarms=self._alarms)
        self.calls.add(deadline)
        return deadline

    async def sleep(self, seconds: float) -> None:
        """Wait, or end when the client closes.

        Raises:
            ClientStateError: the client was closed meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        self.check_open()

    async def end_calls(self) -> None:
        """Refuse new calls, wait up to `CLOSE_GRACE` for those in flight, and stop the rest."""
        self.check_affinity()
        self._closing.set()
        await self._wait_for_calls()
        self.grace_ended = True
        for deadline in self.calls:
            deadline.expire()
        await self._wait_for_calls()

    async def _wait_for_calls(self) -> None:
        now = asyncio.get_running_loop().time
        end = now() + CLOSE_GRACE
        while self.calls and now() < end:
            await asyncio.sleep(0.01)
