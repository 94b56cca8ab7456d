"""How many calls leave, and when: the rate limiter, last gate before the wire."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from aiolimiter import AsyncLimiter
from attrs import define

from publitrac_async.config import RATE_GUARD, is_integer
from publitrac_async.errors import ConfigurationError

#: Part of the allowance that may leave at once after a quiet time; the rest follows evenly spaced.
_BURST_PART: Final = 7


@runtime_checkable
class RateLimiter(Protocol):
    """What the transport asks before every request, retries and log-ins included."""

    async def acquire(self) -> None:
        """Return when one request may leave. The caller sends at once."""

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so many seconds: the service asked for it."""


class _Pausable:
    """The pause that a service may ask for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


@define
class _Departure:
    at: float


class WindowLimiter(_Pausable):
    """Never more than `calls` departures in any `per` seconds, whatever happened before.

    A log of departures gives the guarantee: a call leaves only when the one `calls` before it is more
    than `per` + `guard` seconds old. The guard is for the way to the service, on which calls that left
    1.00 s apart may draw closer. In front of it a leaky bucket (aiolimiter) spreads the calls, so that
    the service sees an even flow instead of volleys; alone, a bucket of 35 lets 70 calls through in its
    first second. Callers are served in the order in which they came.

    Args:
        calls: requests allowed.
        per: seconds in which they are allowed.
        guard: seconds added to `per`.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: a figure is not positive.
    """

    def __init__(
        self,
        calls: int,
        per: float = 1.0,
        *,
        guard: float = RATE_GUARD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not is_integer(calls):
            raise ConfigurationError("a rate limit is a whole number of calls")
        if calls < 1 or not per > 0 or not guard >= 0:
            raise ConfigurationError(f"a rate of {calls} calls in {per} s with a guard of {guard} s is none")
        super().__init__(clock)
        self._window = per + guard
        self._departures: deque[_Departure] = deque(maxlen=calls)
        burst = max(1, calls // _BURST_PART)
        self._pacer = AsyncLimiter(burst, burst * per / calls)
        self._turn = asyncio.Lock()

    async def acquire(self) -> None:
        """Return when one request may leave. Cancelling a waiter costs no permit."""
        async with self._turn:
            await self._pacer.acquire()
            while (wait := self._wait()) > 0:
                # Some event loops end a shorter sleep at once, and would spin.
                await asyncio.sleep(max(wait, 0.001))
            departure = _Departure(self._clock())
            self._departures.append(departure)
            # The caller writes in this turn of the event loop, after hooks, and on a machine that may be busy
            # with others: what counts is when it has written.
            asyncio.get_running_loop().call_soon(self._has_left, departure)

    def _has_left(self, departure: _Departure) -> None:
        departure.at = self._clock()

    def _wait(self) -> float:
        now = self._clock()
        wait = self._paused_until - now
        if len(self._departures) == self._departures.maxlen:
            wait = max(wait, self._departures[0].at + self._window - now)
        return wait

    def __repr__(self) -> str:
        return f"WindowLimiter({self._departures.maxlen} calls in {self._window} s)"


class Unlimited(_Pausable):
    """The limiter that lets everything through, but still pauses when the service asks for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)

    async def acquire(self) -> None:
        """Return at once, or after the pause."""
        while (wait := self._paused_until - self._clock()) > 0:
            await asyncio.sleep(max(wait, 0.001))


class ConcurrencyGate(asyncio.Semaphore):
    """So many calls in flight at once, and fewer while the service says that they are too many.

    Args:
        calls: calls in flight at once.
    """

    def __init__(self, calls: int) -> None:
        super().__init__(calls)
        self._calls = calls
        self._withheld = 0
        #: Slots to be withheld that are still in use.
        self._owed = 0

    @property
    def width(self) -> int:
        """Calls that may be in flight at once now."""
        return self._calls - self._withheld

    def narrow(self) -> None:
        """Let one call fewer be in flight, beginning when the next one ends. One always may."""
        if self.width > 1:
            self._withheld += 1
            self._owed += 1

    def widen(self) -> None:
        """Let one call more be in flight, up to the number at the beginning."""
        if not self._withheld:
            return
        self._withheld -= 1
        if self._owed:
            self._owed -= 1
        else:
            super().release()

    def release(self) -> None:
        """Give a slot back, or keep it where one is to be withheld."""
        if self._owed:
            self._owed -= 1
        else:
            super().release()


def limiter_for(rate_limit: int | None) -> RateLimiter:
    """The limiter for so many calls a second; ``None`` for no limit."""
    return Unlimited() if rate_limit is None else WindowLimiter(rate_limit)
