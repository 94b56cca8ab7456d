"""The vendor's call limit, counted exactly."""

from __future__ import annotations

from collections import deque


class CallLimit:
    """Limit on the calls in any window of a given length.

    PUBLITRAC allows 35 calls per second (PUBLITRAC API reference, Limitation).
    """

    def __init__(self, calls: int, seconds: float = 1.0, *, by_address: bool = False) -> None:
        """Create an unused limit.

        Args:
            calls: calls allowed in any window.
            seconds: the length of the window.
            by_address: True to count each client address separately.
        """
        self._calls = calls
        self._nanoseconds = int(seconds * 1_000_000_000)
        self._by_address = by_address
        self._admitted: dict[str, deque[int]] = {}

    def exceeded_by(self, monotonic_ns: int, address: str = "", *, count_refused: bool) -> bool:
        """Record one call and return True if it is over the limit.

        Args:
            monotonic_ns: the time of its arrival.
            address: the address of the client.
            count_refused: True if a call over the limit counts as well.
        """
        admitted = self._admitted.setdefault(address if self._by_address else "", deque())
        oldest = monotonic_ns - self._nanoseconds
        while admitted and admitted[0] <= oldest:
            admitted.popleft()
        exceeded = len(admitted) >= self._calls
        if not exceeded or count_refused:
            admitted.append(monotonic_ns)
        return exceeded

    @classmethod
    def of(cls, calls: int | None, seconds: float = 1.0, *, by_address: bool = False) -> CallLimit | None:
        """Return a limit by its setting, None for no limit; arguments as for the constructor."""
        return None if calls is None else cls(calls, seconds, by_address=by_address)

    def clear(self) -> None:
        """Forget every call."""
        self._admitted = {}
