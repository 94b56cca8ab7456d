"""Limiters to compare, each built for a number of permits per second according to its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from machine import installed


class Limiter(Protocol):
    async def acquire(self) -> None: ...

    def pause(self, seconds: float) -> None: ...


@dataclass
class Adapted:
    """Adapter of a peer to the interface `RateLimiter`."""

    ask: Callable[[], Awaitable[Any]]

    async def acquire(self) -> None:
        await self.ask()

    def pause(self, seconds: float) -> None:
        """Do nothing: the peers have no pause."""


def own(rate: int) -> Limiter:
    from publitrac_async import WindowLimiter

    return WindowLimiter(rate)


def aiolimiter(rate: int) -> Limiter:
    from aiolimiter import AsyncLimiter

    return Adapted(AsyncLimiter(rate, 1).acquire)


def aiolimiter_one(rate: int) -> Limiter:
    from aiolimiter import AsyncLimiter

    return Adapted(AsyncLimiter(1, 1 / rate).acquire)


def pyrate_limiter(rate: int) -> Limiter:
    from pyrate_limiter import Duration, Rate
    from pyrate_limiter import Limiter as Pyrate

    return Adapted(Pyrate(Rate(rate, Duration.SECOND)).try_acquire_async)


def asyncio_throttle(rate: int) -> Limiter:
    from asyncio_throttle import Throttler

    return Adapted(Throttler(rate, 1.0).acquire)


def throttler(rate: int) -> Limiter:
    from throttler import Throttler

    return Adapted(Throttler(rate, 1.0).__aenter__)


def asynciolimiter(rate: int) -> Limiter:
    from asynciolimiter import Limiter as Spaced

    return Adapted(Spaced(rate).wait)


def asynciolimiter_strict(rate: int) -> Limiter:
    from asynciolimiter import StrictLimiter

    return Adapted(StrictLimiter(rate).wait)


def throttled_py(rate: int) -> Limiter:
    from throttled.asyncio import Throttled, per_sec

    return Adapted(Throttled(key="account", quota=per_sec(rate), timeout=3600).limit)


def limits(rate: int) -> Limiter:
    import asyncio

    from limits import RateLimitItemPerSecond
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    window, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(rate)

    async def ask() -> None:
        while not await window.hit(item):
            await asyncio.sleep(0.01)

    return Adapted(ask)


OWN = "publitrac_async WindowLimiter(35)"
#: Function that builds the limiter, and the module that it needs, by name.
LIMITERS: dict[str, tuple[Callable[[int], Limiter], str]] = {
    OWN: (own, "publitrac_async"),
    "aiolimiter AsyncLimiter(35, 1)": (aiolimiter, "aiolimiter"),
    "aiolimiter AsyncLimiter(1, 1/35)": (aiolimiter_one, "aiolimiter"),
    "pyrate-limiter Rate(35, SECOND)": (pyrate_limiter, "pyrate_limiter"),
    "asyncio-throttle Throttler(35)": (asyncio_throttle, "asyncio_throttle"),
    "throttler Throttler(35)": (throttler, "throttler"),
    "asynciolimiter Limiter(35)": (asynciolimiter, "asynciolimiter"),
    "asynciolimiter StrictLimiter(35)": (asynciolimiter_strict, "asynciolimiter"),
    "throttled-py per_sec(35)": (throttled_py, "throttled"),
    "limits MovingWindow, 35/second": (limits, "limits"),
}


def present() -> list[str]:
    """Return the limiters whose modules are installed."""
    return [name for name, (_, module) in LIMITERS.items() if installed(module)]
