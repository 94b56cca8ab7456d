"""Gates: limits on the number of calls in flight."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import ClassVar, Final

from publitrac_async.config import (
    CALLS_PER_SECOND,
    CONCURRENCY_CEILING,
    CONCURRENCY_FLOOR,
    RATE_GUARD,
    Rate,
)

#: Margin of slots over rate x latency: the latency varies, and one call waits for its permit.
_SPARE_PART: Final = 1.1
_SPARE_CALLS: Final = 2
#: Weight of the last response in the estimated latency.
_WEIGHT: Final = 0.125
#: A rate window that took longer than this factor was not fully used.
_UNUSED: Final = 1.01
#: Fraction of the slots added at a time if the rate is unknown.
_STEP: Final = 8
#: Bounds in seconds on the time between two checks of the gate; seconds until unused slots close.
_SHORTEST_INTERVAL: Final = 0.005
_LONGEST_INTERVAL: Final = 1.0
_PERIOD: Final = 1.0


class ConcurrencyGate:
    """A fixed number of slots. Calls get them in order of arrival.

    Args:
        calls: calls in flight at once.
    """

    #: True if the number of slots follows the rate limit: a wait for a slot is then a wait for the limit.
    follows_limit: ClassVar[bool] = False

    def __init__(self, calls: int) -> None:
        self._max_in_flight = calls
        self._withheld = 0
        self._in_flight = 0
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def width(self) -> int:
        """Calls that may be in flight at once now."""
        return self._max_in_flight - self._withheld

    @property
    def in_flight(self) -> int:
        """Calls that hold a slot."""
        return self._in_flight

    def narrow(self) -> None:
        """Remove a slot when the next call ends; one slot always remains."""
        if self.width > 1:
            self._withheld = self._max_in_flight - self.width + 1

    def widen(self) -> None:
        """Add a slot, up to the initial number."""
        if self._withheld:
            self._withheld -= 1
            self._admit()

    async def enter(self, *, first: bool = False) -> None:
        """Wait for a slot.

        Args:
            first: take the next slot, ahead of all waiting calls.
        """
        if (first or not self._waiters) and self._has_room():
            self._take()
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        if first:
            self._waiters.move_to_end(waiter, last=False)
        self._check_later()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # The call already got a slot.
                self.leave()
            else:
                self._waiters.pop(waiter, None)
            raise

    def leave(self) -> None:
        """Return the slot."""
        self._in_flight -= 1
        self._admit()

    async def lend(self, pause: Awaitable[None]) -> None:
        """Release the slot during a pause, then wait for a new one."""
        self.leave()
        try:
            await pause
            await self.enter(first=True)
        except BaseException:
            self._in_flight += 1  # The caller will call `leave`, as it does for any slot.
            raise

    # Calls that hold a slot report their progress here.

    def ask_limiter(self) -> None:
        """Record that a call starts to wait for its permit."""

    def leave_limiter(self) -> None:
        """Record that a call has its permit, or gave up."""

    def send(self, request: int) -> None:
        """Record that a request is sent."""

    def receive(self, request: int) -> None:
        """Record the end of a request that `send` recorded; ignore others."""

    def _has_room(self) -> bool:
        return self._in_flight < self.width

    def _take(self) -> None:
        self._in_flight += 1

    def _admit(self) -> None:
        while self._waiters and self._has_room():
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                self._take()
                waiter.set_result(None)
        self._check_later()

    def _check_later(self) -> None:
        """Schedule a check for room, which may appear without the end of a call."""


class AdaptiveGate(ConcurrencyGate):
    """Opens as many slots as the rate limit needs: rate x latency, by Little's law.

    A call gets a slot only while no other call waits for its permit, so the calls in flight are those with a
    permit, and one that waits. Their number may grow by one per permit, and only while permits stay unused;
    it shrinks to the need of the last second.

    Args:
        rate: rate of the limiter; ``None`` if unknown.
        max_in_flight: maximum calls in flight at once.
        clock: monotonic seconds.
    """

    follows_limit = True

    def __init__(
        self,
        rate: Rate | None,
        *,
        max_in_flight: int = CONCURRENCY_CEILING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_in_flight)
        self._rate = rate
        interval = 1 / CALLS_PER_SECOND if rate is None else rate.interval
        self._interval = min(max(interval, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)
        self._window = math.inf if rate is None else (rate.per + RATE_GUARD) * _UNUSED
        self._clock = clock
        self._open = CONCURRENCY_FLOOR
        self._grown_at = -math.inf
        self._at_limiter = 0
        #: Send times of the requests in flight, in order.
        self._sent: dict[int, float] = {}
        #: Send times of the last requests: one window of the rate.
        self._departures: deque[float] = deque(maxlen=0 if rate is None else rate.calls)
        self._latency = 0.0
        self._peak = 0
        self._period_ends = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """Calls that may be in flight at once now."""
        return min(self._open, self._max_in_flight - self._withheld)

    def leave(self) -> None:
        """Return the slot."""
        now = self._clock()
        if now >= self._period_ends:
            self._period_ends = now + _PERIOD
            self._open = max(CONCURRENCY_FLOOR, min(self._open, self._peak))
            self._peak = self._in_flight
        super().leave()

    def ask_limiter(self) -> None:
        """Record that a call starts to wait for its permit."""
        self._at_limiter += 1

    def leave_limiter(self) -> None:
        """Record that a call has its permit, or gave up."""
        self._at_limiter -= 1
        self._admit()

    def send(self, request: int) -> None:
        """Record that a request is sent."""
        self._sent[request] = now = self._clock()
        self._departures.append(now)

    def receive(self, request: int) -> None:
        """Record the end of a request that `send` recorded; ignore others."""
        sent = self._sent.pop(request, None)
        if sent is not None:
            seconds = self._clock() - sent
            self._latency += (seconds - self._latency) * (_WEIGHT if self._latency else 1.0)

    def _has_room(self) -> bool:
        if self._in_flight < min(CONCURRENCY_FLOOR, self.width):
            return True
        return not self._at_limiter and (self._in_flight < self.width or self._grow())

    def _take(self) -> None:
        super()._take()
        self._peak = max(self._peak, self._in_flight)

    def _grow(self) -> bool:
        now = self._clock()
        if (
            self._open >= self._max_in_flight
            or now < self._grown_at + self._interval
            or not self._needs_more(now)
        ):
            return False
        self._grown_at = now
        self._open += 1 if self._rate is not None else max(1, self._open // _STEP)
        return self._in_flight < self.width

    def _needs_more(self, now: float) -> bool:
        if self._rate is None:
            return True
        used = len(self._departures) == self._rate.calls and now - self._departures[0] < self._window
        if used:
            return False
        latency = self._latency
        if self._sent:
            # Requests in flight reveal a slow service before any response does. On average half of their time
            # has passed; the median ignores a single one that hangs.
            oldest = now - next(iter(self._sent.values()))
            middle = now - next(islice(self._sent.values(), len(self._sent) // 2, None))
            latency = max(latency, min(oldest, 2 * middle))
        return self._open + 1 <= latency / self._rate.interval * _SPARE_PART + _SPARE_CALLS

    def _check_later(self) -> None:
        if self._waiters and self._timer is None and not self._at_limiter:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._check_now)

    def _check_now(self) -> None:
        self._timer = None
        self._admit()
