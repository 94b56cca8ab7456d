"""The sandbox's clock: real time plus an offset that tests move forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class SandboxClock:
    """Time as the emulated service sees it.

    Token life, the delay of `delayedSync` and every date in a response come from here.
    The rate limit does not: it counts real arrivals.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Create a clock without offset.

        Args:
            monotonic: Seconds that never go back.
            wall: Seconds since 1970-01-01 UTC.
        """
        self._monotonic = monotonic
        self._wall = wall
        self._offset = 0.0

    @property
    def offset(self) -> float:
        """Seconds by which this clock is ahead of real time."""
        return self._offset

    def monotonic(self) -> float:
        """Return seconds that never go back, offset included."""
        return self._monotonic() + self._offset

    def timestamp(self) -> float:
        """Return seconds since 1970-01-01 UTC, offset included."""
        return self._wall() + self._offset

    def text(self, seconds_ago: float = 0.0) -> str:
        """Return the time as `yyyy-mm-dd hh:mm:ss` in UTC (PUBLITRAC API reference, Format).

        Args:
            seconds_ago: How far before now.
        """
        moment = datetime.fromtimestamp(self.timestamp() - seconds_ago, tz=UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: How far; not negative.

        Raises:
            ValueError: If `seconds` is negative or not a finite number.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError("The sandbox clock only moves forward, by a finite number of seconds.")
        self._offset += seconds

    def reset(self) -> None:
        """Return to real time."""
        self._offset = 0.0
