"""The vendor's call limit, counted exactly."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """How many calls any window of a given length holds.

    PUBLITRAC allows 35 calls a second (PUBLITRAC API reference, Limitation).
    """

    def __init__(self, calls: int, seconds: float = 1.0) -> None:
        """Create an empty window.

        Args:
            calls: Calls allowed in any window.
            seconds: Length of the window.
        """
        self._calls = calls
        self._nanoseconds = int(seconds * 1_000_000_000)
        self._admitted: deque[int] = deque()

    def exceeded_by(self, monotonic_ns: int, *, count_refused: bool) -> bool:
        """Record one call and tell whether it is over the limit.

        Args:
            monotonic_ns: When the call arrived.
            count_refused: Whether a call over the limit fills the window as well.
        """
        oldest = monotonic_ns - self._nanoseconds
        while self._admitted and self._admitted[0] <= oldest:
            self._admitted.popleft()
        exceeded = len(self._admitted) >= self._calls
        if not exceeded or count_refused:
            self._admitted.append(monotonic_ns)
        return exceeded

    def clear(self) -> None:
        """Forget every call."""
        self._admitted.clear()
