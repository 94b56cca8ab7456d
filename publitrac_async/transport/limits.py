"""Rate limiters, asked right before a request is sent: by `Lane` in `transport/lanes.py`.

`publitrac_async/config.py` has the vendors' rates.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, runtime_checkable

from aiolimiter import AsyncLimiter
from attrs import define

from publitrac_async.config import EVEN_GUARD, RATE_GUARD, Rate, as_rate, is_integer
from publitrac_async.errors import ConfigurationError

#: Fraction of the rate that may burst after a pause; the rest is spaced evenly.
_BURST_PART: Final = 7


@runtime_checkable
class RateLimiter(Protocol):
    """Rate limiter, asked before every request, retries and token requests included.

    With an attribute ``rate`` (`Rate`) the client opens no more connections than the rate needs. With an
    attribute ``slots`` (`Slots`) every request holds a slot until its response.
    """

    async def acquire(self) -> None:
        """Wait until one request may be sent; the caller sends it at once."""

    def pause(self, seconds: float) -> None:
        """Block all requests for `seconds`, because the service asked for it."""


class Slots(Protocol):
    """Limit on requests in flight, shared by several processes."""

    async def take(self) -> Any:
        """Wait for a slot.

        Raises:
            LimiterUnavailable: the shared limit is unavailable.
        """

    def give(self, slot: Any) -> None:
        """Release a slot."""


class _Pausable:
    """Base of limiters: keeps the pause that a service asked for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Block all requests for `seconds`."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


@define
class _Departure:
    at: float


class WindowLimiter(_Pausable):
    """Rate limiter that keeps its rate in every window of time.

    A log of send times gives the guarantee: a request is sent only when the one ``rate.calls`` before it is
    more than ``rate.per`` + `guard` seconds old. The guard is for the network, where requests sent 1.00 s
    apart may move closer together. In front of the log a leaky bucket (aiolimiter) spreads the requests
    evenly; alone, a bucket of 35 permits 70 requests in its first second. Callers are served in order of
    arrival.

    Args:
        rate: requests allowed; a number means requests per second.
        guard: seconds added to the time of the rate.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: a number is not positive.
    """

    def __init__(
        self,
        rate: Rate | int,
        *,
        guard: float = RATE_GUARD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not guard >= 0:
            raise ConfigurationError(f"guard must be 0 seconds or more, not {guard}")
        super().__init__(clock)
        #: Read by the client, which opens as many connections as the rate needs.
        self.rate: Rate = as_rate(rate)
        self._window = self.rate.per + guard
        self._departures: deque[_Departure] = deque(maxlen=self.rate.calls)
        burst = max(1, self.rate.calls // _BURST_PART)
        self._pacer = AsyncLimiter(burst, burst * self.rate.interval)
        self._gap = 0.0
        if self.rate.pace == "even":
            self._gap = self._window / self.rate.calls + EVEN_GUARD
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until one request may be sent. Cancelling a waiter costs no permit."""
        async with self._lock:
            await self._pacer.acquire()
            while (wait := self._wait()) > 0:
                # Some event loops return from a shorter sleep at once; the loop would spin.
                await asyncio.sleep(max(wait, 0.001))
            departure = _Departure(self._clock())
            self._departures.append(departure)
            # The caller writes in this turn of the event loop, after hooks, perhaps on a busy machine. So the
            # log gets the time after the write.
            asyncio.get_running_loop().call_soon(self._stamp, departure)

    def _stamp(self, departure: _Departure) -> None:
        departure.at = self._clock()

    def _wait(self) -> float:
        now = self._clock()
        wait = self._paused_until - now
        if len(self._departures) == self._departures.maxlen:
            wait = max(wait, self._departures[0].at + self._window - now)
        if self._gap and self._departures:
            wait = max(wait, self._departures[-1].at + self._gap - now)
        return wait

    def __repr__(self) -> str:
        return f"WindowLimiter({self.rate.calls} calls in {self._window} s)"


class Unlimited(_Pausable):
    """Limiter without a rate: it only pauses when the service asks for it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)

    @property
    def paused(self) -> bool:
        """True during a pause."""
        return self._paused_until > self._clock()

    async def acquire(self) -> None:
        """Return at once, or after the pause."""
        while (wait := self._paused_until - self._clock()) > 0:
            await asyncio.sleep(max(wait, 0.001))


def shared_rate(rate_limit: Rate | int | None, in_flight: int | None, guard: float) -> Rate | None:
    """Return the rate of a limit that processes share, ``None`` for no limit.

    Args:
        rate_limit: requests of all processes together; a number means requests per second.
        in_flight: requests in flight of all processes, ``None`` for no limit.
        guard: seconds added to the time of the rate.

    Raises:
        ConfigurationError: a number is not positive, or requests in flight are limited without a rate: the
            permits of the rate come with the slots.
    """
    rate = None if rate_limit is None else as_rate(rate_limit)
    if not guard >= 0:
        raise ConfigurationError("guard must be 0 seconds or more")
    if in_flight is not None and (not is_integer(in_flight) or in_flight < 1 or rate is None):
        raise ConfigurationError("in_flight must be at least 1, and needs a rate_limit other than None")
    return rate


def limiter_for(rate_limit: Rate | int | None) -> RateLimiter:
    """Build the limiter of a client; a number means calls per second, ``None`` no limit."""
    return Unlimited() if rate_limit is None else WindowLimiter(as_rate(rate_limit))
