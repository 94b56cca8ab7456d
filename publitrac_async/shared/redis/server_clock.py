"""Estimate the clock of a server from the times between which it responded."""

from __future__ import annotations

import math
from typing import Final

#: Seconds per second by which two clocks may run apart.
_DRIFT: Final = 50e-6
#: Seconds by which responses may disagree, because their times are rounded.
_TOLERANCE: Final = 0.001
#: Samples after which the estimate is good enough; or the error in seconds that makes one sample enough.
_SAMPLES: Final = 5
_ERROR: Final = 0.005


class ServerClock:
    """The difference between the clock of a server and the monotonic clock of this process.

    Each response tells the time of the server at a moment between request and response, so the difference is
    between two bounds. The estimate is the middle of the closest bounds of all samples, as in NTP. Its error
    is half the difference between the shortest ways there and back.
    """

    def __init__(self) -> None:
        self._lower, self._upper = -math.inf, math.inf
        self._sampled_at = 0.0
        self._samples = 0

    @property
    def settled(self) -> bool:
        """True if the estimate is good enough for departures."""
        return self._samples >= _SAMPLES or (self._samples > 0 and self.one_way <= _ERROR)

    @property
    def offset(self) -> float:
        """Seconds to add to the clock of this process for the clock of the server."""
        return (self._lower + self._upper) / 2

    @property
    def one_way(self) -> float:
        """Seconds to the server, as half of the shortest way there and back."""
        return max(0.0, (self._upper - self._lower) / 2)

    def sample(self, sent: float, server: float, received: float) -> bool:
        """Take a response into account.

        Args:
            sent: time of the request, by the clock of this process.
            server: time of the server when it handled the request.
            received: time of the response, by the clock of this process.

        Returns:
            True if the response agrees with earlier ones. Otherwise a clock was set, or another server
            responded, and the estimate begins again with this response.
        """
        drift = _DRIFT * max(0.0, received - self._sampled_at) if self._samples else 0.0
        lower, upper = self._lower - drift, self._upper + drift
        agrees = server - received <= upper + _TOLERANCE and server - sent >= lower - _TOLERANCE
        if not agrees:
            self._samples, lower, upper = 0, -math.inf, math.inf
        self._lower, self._upper = max(lower, server - received), min(upper, server - sent)
        self._sampled_at = received
        self._samples += 1
        return agrees
