"""Clock of the sandbox: real time plus an offset that tests move forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


class SandboxClock:
    """Time of the emulated service.

    The lifetime of tokens, the delay of `delayedSync` and every date in a response follow this clock. The
    rate limit does not: it counts real arrivals.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        zone: tzinfo = UTC,
    ) -> None:
        """Create a clock without offset.

        Args:
            monotonic: returns seconds that never go back.
            wall: returns seconds since 1970-01-01 UTC.
            zone: the time zone of `text`.
        """
        self._monotonic = monotonic
        self._wall = wall
        self._zone = zone
        self._offset = 0.0

    def in_zone(self, name: str) -> SandboxClock:
        """Return a clock that follows this one and writes dates in another time zone.

        Args:
            name: the name of the zone; `UTC` needs no time zone database.
        """
        zone = UTC if name == "UTC" else ZoneInfo(name)
        return SandboxClock(self.monotonic, self.timestamp, zone)

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
        """Return the time as `yyyy-mm-dd hh:mm:ss` (PUBLITRAC API reference, Format).

        Args:
            seconds_ago: seconds before now.
        """
        moment = datetime.fromtimestamp(self.timestamp() - seconds_ago, tz=self._zone)
        return moment.strftime("%Y-%m-%d %H:%M:%S")

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: the number of seconds; not negative.

        Raises:
            ValueError: `seconds` is negative or not a finite number.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError("the sandbox clock only moves forward, by a finite number of seconds")
        self._offset += seconds

    def reset(self) -> None:
        """Return to real time."""
        self._offset = 0.0
