"""What a run tells while it goes on, and what it remembers of its course for the report."""

from __future__ import annotations

import enum
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import define, field, frozen

from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.transport.events import Event, RequestSent

logger: Final = logging.getLogger("publitrac_async")

#: Seconds over which the current rate is taken.
_RECENT: Final = 10.0
#: Stretches of time the course is made of at most. When there are more, neighbours are joined.
_STRETCHES: Final = 240


class Phase(enum.StrEnum):
    """What a run is doing."""

    READING = "reading"
    SENDING = "sending"
    CONFIRMING = "confirming"
    FINISHED = "finished"


@frozen(kw_only=True)
class Progress:
    """The state of a run at a moment.

    Attributes:
        phase: what is being done.
        done: rows through with this phase.
        total: rows of this phase; ``None`` while they are read.
        counts: rows by state, those that needed no call included; the rest is yet to come.
        rate: rows a second over the last ten seconds.
        limiter_wait: mean seconds a call waited for the rate limit lately; ``None`` without a `CallMeter`.
        elapsed: seconds since the start.
        remaining: estimated seconds to the end of this phase, ``None`` while nothing can be said.
    """

    phase: Phase
    done: int
    total: int | None
    counts: Mapping[State, int]
    rate: float
    limiter_wait: float | None
    elapsed: float
    remaining: float | None


Listener: TypeAlias = Callable[[Progress], None]


@define
class CallMeter:
    """A hook for a client, which counts its calls and their waits for the rate limit.

    ::

        meter = CallMeter()
        async with PublitracClient(..., hooks=[meter]) as publitrac:
            await sync_leads(source, publitrac.v2, calls=meter)

    Attributes:
        rate_limit: calls a second that the client is allowed, for the report.
        calls: requests sent so far.
        waited: seconds they waited for the rate limiter, added up.
    """

    rate_limit: int | None = None
    calls: int = 0
    waited: float = 0.0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, RequestSent):
            self.calls += 1
            self.waited += event.limiter_wait


@define
class Stretch:
    """What happened in some seconds of a run.

    Attributes:
        seconds: how long it was.
        calls: requests sent, ``None`` without a `CallMeter`.
        outcomes: rows by state.
    """

    seconds: float
    calls: int | None
    outcomes: dict[State, int] = field(factory=dict)

    def join(self, other: Stretch) -> Stretch:
        """Both together."""
        calls = None if self.calls is None or other.calls is None else self.calls + other.calls
        states = self.outcomes.keys() | other.outcomes.keys()
        outcomes = {state: self.outcomes.get(state, 0) + other.outcomes.get(state, 0) for state in states}
        return Stretch(self.seconds + other.seconds, calls, outcomes)


class Course:
    """Counts outcomes and tells a listener. What it remembers does not grow with the run.

    Args:
        listener: told of every tick.
        calls: the hook of the client in use, for what the rate limit costs.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        listener: Listener | None = None,
        calls: CallMeter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener
        self._calls = calls
        self._clock = clock
        self._started = self._last = clock()
        self._phase = Phase.READING
        self._total: int | None = None
        self._done = 0
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._metered = (calls.calls, calls.waited) if calls else (0, 0.0)
        self._stretch: dict[State, int] = {}
        self.counts: dict[State, int] = {}
        self.stretches: list[Stretch] = []
        self._longest = 0.0

    @property
    def rate_limit(self) -> int | None:
        """Calls a second that are allowed, ``None`` if that is not known."""
        return None if self._calls is None else self._calls.rate_limit

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def enter(self, phase: Phase, total: int | None, counts: Mapping[State, int] | None = None) -> None:
        """Begin a phase.

        Args:
            phase: which.
            total: rows it has to do with, if that is known.
            counts: rows whose state is settled already.
        """
        self._phase, self._total, self._done = phase, total, 0
        if phase is Phase.FINISHED:
            self._done = total or 0
        self._recent = deque([(self._clock(), self._done)])
        if counts is not None:
            self.counts = dict(counts)
        self.tick()

    def advance(self, rows: int = 1) -> None:
        """Note that rows are through with this phase."""
        self._done += rows

    def settled(self, outcome: Outcome) -> None:
        """Note the outcome of a row."""
        state = State.PENDING if outcome.state is State.RETRY else outcome.state
        self.counts[state] = self.counts.get(state, 0) + 1
        self._stretch[state] = self._stretch.get(state, 0) + 1
        self._done += 1

    def tick(self) -> None:
        """Close a stretch of the course and tell the listener."""
        now = self._clock()
        calls, waited = (self._calls.calls, self._calls.waited) if self._calls else (0, 0.0)
        new_calls, new_waited = calls - self._metered[0], waited - self._metered[1]
        self._metered = calls, waited
        if self._phase is Phase.SENDING and self._total and now > self._last:
            self._remember(Stretch(now - self._last, new_calls if self._calls else None, self._stretch))
            self._stretch = {}
        self._last = now
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > _RECENT:
            self._recent.popleft()
        self._tell(new_waited / new_calls if self._calls and new_calls else None)

    def complete(self) -> None:
        """Note that this phase is over, and tell the listener."""
        self._total = self._done
        self.tick()

    def _tell(self, limiter_wait: float | None) -> None:
        if self._listener is None:
            return
        try:
            self._listener(self._progress(limiter_wait))
        except Exception as error:  # noqa: BLE001  (a listener observes; what it raises must not end a run)
            logger.warning("the progress listener raised %s and is not called again", type(error).__name__)
            self._listener = None

    def _progress(self, limiter_wait: float | None) -> Progress:
        then, done = self._recent[0]
        seconds = self._clock() - then
        rate = (self._done - done) / seconds if seconds > 0 else 0.0
        remaining = (self._total - self._done) / rate if self._total is not None and rate > 0 else None
        return Progress(
            phase=self._phase,
            done=self._done,
            total=self._total,
            counts=dict(self.counts),
            rate=rate,
            limiter_wait=limiter_wait,
            elapsed=self.elapsed,
            remaining=remaining,
        )

    def _remember(self, stretch: Stretch) -> None:
        # The last stretch is filled up until it is as long as the others are by now.
        if self.stretches and self.stretches[-1].seconds + stretch.seconds <= self._longest:
            self.stretches[-1] = self.stretches[-1].join(stretch)
            return
        self.stretches.append(stretch)
        if len(self.stretches) > _STRETCHES:
            joined = [
                one.join(two) for one, two in zip(self.stretches[::2], self.stretches[1::2], strict=False)
            ]
            self.stretches = joined + self.stretches[len(joined) * 2 :]
            self._longest = max(each.seconds for each in joined)
