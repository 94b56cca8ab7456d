"""Lifetime of a client: its process and event loop, its calls in flight, its closing."""

from __future__ import annotations

import asyncio
import os

from publitrac_async.config import CLOSE_PATIENCE, Timeout
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
        #: True once `end_calls` stops the calls that did not end in time.
        self.out_of_patience: bool = False

    def check_open(self) -> None:
        """Refuse calls of a closed client.

        Raises:
            ClientStateError: the client is closed.
        """
        if self._closing.is_set():
            raise ClientStateError("the client is closed: open a new one")

    def check_home(self) -> None:
        """Refuse calls in another event loop or process than the first call's.

        Raises:
            ClientStateError: the event loop or process is another one.
        """
        if self._process != os.getpid():
            raise ClientStateError("the client was opened in another process: open one after the fork")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._alarms = Alarms()
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to another event loop: open one client in each loop, inside it"
            )

    def deadline(self, timeout: Timeout) -> Deadline:
        """Begin the time of a call, in the queue.

        Raises:
            ClientStateError: the client is closed, or its event loop or process is another one.
        """
        self.check_open()
        self.check_home()
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
        """Refuse new calls, give those in flight a moment to end, and stop the rest."""
        self.check_home()
        self._closing.set()
        await self._wait_for_calls()
        self.out_of_patience = True
        for deadline in self.calls:
            deadline.expire()
        await self._wait_for_calls()

    async def _wait_for_calls(self) -> None:
        now = asyncio.get_running_loop().time
        patience = now() + CLOSE_PATIENCE
        while self.calls and now() < patience:
            await asyncio.sleep(0.01)
