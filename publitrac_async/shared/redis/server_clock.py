"""Estimate the clock of a server from the times of requests and responses."""

from __future__ import annotations

import math
from typing import Final

#: Drift between two clocks, in seconds per second.
_DRIFT: Final = 50e-6
#: Tolerated disagreement of responses in seconds: their times are rounded.
_TOLERANCE: Final = 0.001
#: Samples after which the estimate is good enough; or the error in seconds with which one sample is.
_SAMPLES: Final = 5
_ERROR: Final = 0.005


class ServerClock:
    """Estimate of the difference between the clock of a server and the monotonic clock of this process.

    Each response has a time of the server between request and response, which bounds the difference. The
    estimate is the middle of the closest bounds of all samples, as in NTP. Its error is half the difference
    between the shortest latencies to the server and back.
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
        """Clock of the server minus clock of this process, in seconds."""
        return (self._lower + self._upper) / 2

    @property
    def one_way(self) -> float:
        """Latency to the server in seconds: half of the shortest round trip."""
        return max(0.0, (self._upper - self._lower) / 2)

    def sample(self, sent: float, server: float, received: float) -> bool:
        """Add the sample of a response.

        Args:
            sent: time of the request, by the clock of this process.
            server: time of the server when it handled the request.
            received: time of the response, by the clock of this process.

        Returns:
            True if the response agrees with earlier ones. Otherwise a clock was adjusted, or another server
            responded, and the estimate restarts with this response.
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
