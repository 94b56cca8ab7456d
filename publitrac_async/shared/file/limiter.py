"""Rate limiter that the processes of one host share through a file."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import Final

from publitrac_async.config import Rate
from publitrac_async.errors import LimiterUnavailable
from publitrac_async.shared.file.record import DEPARTURES, AccountFile
from publitrac_async.shared.file.slots import FileSlots

#: Seconds added to the period, for different latencies of calls. Less than in a single process, because a
#: late departure counts from the time it happens, and delays the next ones.
GUARD: Final = 0.04
#: Fraction of the rate that may burst after a pause, as in a single process.
_BURST_PART: Final = 7
#: Limit on the slots that live processes have reserved, one each. A later slot is from another boot.
_SLOTS_AHEAD: Final = 1000


class FileRateLimiter:
    """Rate limiter for all processes of a host.

    The file has the times of the last departures: a request is sent only when the one ``rate.calls`` before
    it is more than ``rate.per`` + `guard` seconds old. Each process reserves its next departure, so all get
    equal shares. Within a process callers are served in order of arrival.

    Args:
        record: the file.
        rate: requests of all processes together.
        guard: seconds added to the period.
        slots: limit on the requests in flight, ``None`` for no limit.
        clock: monotonic seconds, the same for all processes of the host.
    """

    def __init__(
        self,
        record: AccountFile,
        rate: Rate,
        *,
        guard: float = GUARD,
        slots: FileSlots | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Read by the client, which opens as many connections as the rate needs.
        self.rate: Rate = rate
        #: Used by the client, which takes a slot for every request.
        self.slots: FileSlots | None = slots
        # The file has room for a fixed number of departures, so 1,000 in 1 s become 500 in 0.5 s.
        parts = math.ceil(rate.calls / (DEPARTURES - 1))
        self._calls, self._window = rate.calls // parts, rate.per / parts + guard
        self._interval = self._window / self._calls
        burst = 1 if rate.pace == "even" else max(1, self._calls // _BURST_PART)
        self._catch_up = self._interval * (burst - 1)
        self._record = record
        self._clock = clock
        self._lock = asyncio.Lock()
        self._slot: float | None = None
        #: Number of departures in the file when this process last read it.
        self._departed = 0
        self._paused_until = -math.inf
        self._announcements: set[asyncio.Task[None]] = set()

    async def acquire(self) -> None:
        """Wait until one request may be sent. Cancelling a waiter costs no permit.

        Raises:
            LimiterUnavailable: the file cannot be read or written.
        """
        async with self._lock:
            while (wait := await self._wait()) > 0:
                # Some event loops return from a shorter sleep at once; the loop would spin.
                await asyncio.sleep(max(wait, 0.001))

    def pause(self, seconds: float) -> None:
        """Block the requests of all processes for `seconds`."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        task = asyncio.create_task(self._announce(self._paused_until), name="publitrac_async pause")
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)

    async def aclose(self) -> None:
        """Wait until all pauses are written to the file."""
        if self._announcements:
            await asyncio.wait(self._announcements)

    async def _wait(self) -> float:
        """Record a departure and return 0, or return the seconds to wait first."""
        wait = self._paused_until - self._clock()
        if self._slot is not None:
            wait = max(wait, self._slot - self._clock())
        if wait > 0:
            return wait
        async with self._record.locked() as header:
            now = self._clock()
            if header.departed < self._departed:
                # The file was deleted or replaced, so the last departures are lost.
                header.paused_until = max(header.paused_until, now + self._window)
            self._departed = header.departed
            if header.paused_until > now:
                return header.paused_until - now
            if self._slot is None:
                if not (header.next_slot <= now + _SLOTS_AHEAD * self._interval):  # Also true for NaN.
                    header.next_slot = 0.0
                self._slot = max(header.next_slot, now - self._catch_up)
                header.next_slot = self._slot + self._interval
                if self._slot > now:
                    return self._slot - now
            number = header.departed
            if number >= self._calls:
                before = self._record.departure(number - self._calls)
                # A time in the future is from another boot.
                if before <= now < before + self._window:
                    return before + self._window - now
            self._record.record_departure(number, now)
            self._departed = header.departed = number + 1
            self._slot = None
        # The caller writes in this turn of the event loop, after hooks. So the file gets the time after the
        # write.
        asyncio.get_running_loop().call_soon(self._stamp, number)
        return 0.0

    def _stamp(self, number: int) -> None:
        self._record.correct_departure(number, self._clock())

    async def _announce(self, until: float) -> None:
        # If the file is unavailable, no process sends anyway.
        with contextlib.suppress(LimiterUnavailable):
            async with self._record.locked() as header:
                header.paused_until = max(header.paused_until, until)

    def __repr__(self) -> str:
        return f"FileRateLimiter({self._calls} calls in {self._window:g} s, {self._record!r})"
