"""Time limits of a call: in the client's queue, after it, and without data on the wire."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

#: Seconds by which a timer may fire early: the clocks of event loops have a resolution of a millisecond.
_EARLY = 0.001


class Alarm(Protocol):
    """Target of `Alarms`."""

    def ring(self) -> None:
        """Handle the alarm."""
        ...


class Alarms:
    """One timer of the event loop for many alarms, nearly all of which are dropped before they ring.

    The timer fires at the time of the earliest alarm. Two timers per call, created, pushed on the heap of the
    loop and cancelled, would take a twelfth of the time of a call.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: dict[Alarm, float] = {}
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, alarm: Alarm, at: float) -> None:
        """Ring `alarm` at a time of the loop's clock. Replaces an earlier setting."""
        self._due[alarm] = at
        if at < self._next:
            self._set_timer(at)

    def drop(self, alarm: Alarm) -> None:
        """Remove an alarm."""
        self._due.pop(alarm, None)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self._next = None, math.inf
        now = self._loop.time() + _EARLY
        due = [alarm for alarm, at in self._due.items() if at <= now]
        for alarm in due:
            del self._due[alarm]
        soonest = min(self._due.values(), default=math.inf)
        if soonest < math.inf:
            self._set_timer(soonest)
        for alarm in due:
            alarm.ring()


class Deadline:
    """Context manager that cancels its task at the deadline, and turns the cancellation into `TimeoutError`.

    One of two limits runs at a time: `queue` between `enter_queue` and `leave_queue`, `total` otherwise. This
    class replaces `asyncio.timeout`, which has one limit and takes 8.5 µs instead of 2.8 µs; a call without
    network takes 70 µs. Other cancellations, including simultaneous ones, pass through.

    Args:
        total: seconds outside the queue; ``None`` for no limit.
        queue: seconds in the queue; ``None`` for no limit.
        queued: start in the queue.
        alarms: rings at the deadline; a separate one by default.
    """

    def __init__(
        self,
        total: float | None,
        queue: float | None = None,
        *,
        queued: bool = False,
        alarms: Alarms | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a call needs an asyncio task: run it by asyncio.run() or create_task()")
        self._loop = loop
        self._task: asyncio.Task[Any] = task
        self._cancelled_before = task.cancelling()
        #: True if the limit was exceeded before the block ended.
        self.expired: bool = False
        #: True while the limit `queue` runs.
        self.queued: bool = queued
        running, self._rest = (queue, total) if queued else (total, queue)
        #: Deadline of the running limit, on the clock of the loop. `_rest` is the time left of the other one.
        self._end = None if running is None else loop.time() + running
        self._alarms = Alarms() if alarms is None else alarms
        self._rings_at = math.inf
        self._arm()

    @property
    def remaining(self) -> float:
        """Seconds left of the running limit."""
        return math.inf if self._end is None else self._end - self._loop.time()

    def enter_queue(self) -> None:
        """Switch to the limit `queue`."""
        if not self.queued:
            self._switch()

    def leave_queue(self) -> None:
        """Switch to the limit `total`."""
        if self.queued:
            self._switch()

    def expire(self) -> None:
        """Expire now."""
        if not self.expired:
            self.expired = True
            self._task.cancel()

    def ring(self) -> None:
        """Expire, or ring again when the running limit ends."""
        if self.remaining <= _EARLY:
            self.expire()
        else:
            self._rings_at = math.inf
            self._arm()

    def _switch(self) -> None:
        if self.expired:  # `queued` shows which limit was exceeded.
            return
        self.queued = not self.queued
        end, rest = self._end, self._rest
        if end is None and rest is None:
            return
        now = self._loop.time()
        self._end = None if rest is None else now + rest
        self._rest = None if end is None else end - now
        self._arm()

    def _arm(self) -> None:
        # An alarm that rings too early costs less than setting it again at each switch.
        if self._end is not None and self._end < self._rings_at:
            self._rings_at = self._end
            self._alarms.set(self, self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._alarms.drop(self)
        if (
            self.expired
            and self._task.uncancel() <= self._cancelled_before
            and isinstance(error, asyncio.CancelledError)
        ):
            raise TimeoutError from error


class Watchdog:
    """Read timeout: ends a wait without data.

    A long computation of the program keeps the event loop from reading. So at the timeout `is_moving` is
    called first, and data just read gets one turn of the loop to reach its reader.

    Args:
        is_moving: returns True if bytes have arrived that the event loop has not read.
        expire: called at the timeout.
        alarms: rings at the timeout; a separate one by default.
    """

    def __init__(
        self, is_moving: Callable[[], bool], expire: Callable[[], None], alarms: Alarms | None = None
    ) -> None:
        self._seconds: float | None = None
        self._is_moving = is_moving
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._alarms = Alarms() if alarms is None else alarms
        self._moved = 0.0
        self._handle: asyncio.Handle | None = None

    def start(self, seconds: float | None) -> None:
        """Start timing.

        Args:
            seconds: seconds allowed without data; ``None`` for no limit.
        """
        self._seconds = seconds
        self._moved = self._loop.time()
        if seconds is not None:
            self._alarms.set(self, self._moved + seconds)

    def moved(self) -> None:
        """Record that data arrived."""
        self._moved = self._loop.time()

    def stop(self) -> None:
        """Stop timing."""
        self._alarms.drop(self)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def ring(self) -> None:
        """End the wait if no data has arrived."""
        assert self._seconds is not None
        remaining = self._moved + self._seconds - self._loop.time()
        if remaining <= 0 and self._is_moving():
            self.moved()
            remaining = self._seconds
        if remaining > 0:
            self._alarms.set(self, self._loop.time() + remaining)
        else:
            self._handle = self._loop.call_soon(self._confirm, self._moved)

    def _confirm(self, moved: float) -> None:
        if self._moved == moved:
            self._expire()
        else:
            self.ring()
