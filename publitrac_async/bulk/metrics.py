"""Metrics of a run: progress for a listener, a timeline for the report."""

from __future__ import annotations

import enum
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field, frozen
from attrs.converters import optional

from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.config import Rate, as_rate, is_number
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.events import (
    AnyRunEvent,
    Event,
    RequestSent,
    RowsCompleted,
    RunEnded,
    RunHook,
    RunStarted,
)
from publitrac_async.transport.reporter import emit

logger: Final = logging.getLogger("publitrac_async")

#: Seconds over which the current rate is averaged.
_RECENT: Final = 10.0
#: Maximum number of buckets in the timeline. Beyond it, adjacent buckets are joined.
_BUCKETS: Final = 240


class Phase(enum.StrEnum):
    """Phase of a run."""

    READING = "reading"
    SENDING = "sending"
    VERIFYING = "verifying"
    FINISHED = "finished"


@frozen(kw_only=True)
class Progress:
    """Progress of a run.

    Attributes:
        phase: current phase.
        done: rows that have passed this phase.
        total: rows of this phase; ``None`` during reading.
        counts: rows by state, including rows that needed no call.
        rate: rows per second, over the last ten seconds.
        limiter_wait: mean seconds that recent calls waited for the rate limiter; ``None`` without a
            `CallMeter`.
        elapsed: seconds since the start.
        remaining: estimated seconds to the end of this phase, ``None`` if unknown.
    """

    phase: Phase
    done: int
    total: int | None
    counts: Mapping[State, int]
    rate: float
    limiter_wait: float | None
    elapsed: float
    remaining: float | None


ProgressListener: TypeAlias = Callable[[Progress], None]


@define
class CallMeter:
    """A client hook that counts requests and their waits for the rate limiter.

    ::

        meter = CallMeter()
        async with PublitracClient(..., hooks=[meter]) as publitrac:
            await sync_leads(source, publitrac.v2, monitor=Monitor(call_meter=meter))

    Attributes:
        rate_limit: limit of the client, for the report; a number means requests per second.
        calls: number of requests.
        waited: total seconds of waiting for the rate limiter.
    """

    rate_limit: Rate | None = field(default=None, converter=optional(as_rate))
    calls: int = 0
    waited: float = 0.0

    def __call__(self, event: Event) -> None:
        """Count a request."""
        if isinstance(event, RequestSent):
            self.calls += 1
            self.waited += event.limiter_wait


@define
class Bucket:
    """Outcomes in an interval of a run.

    Attributes:
        seconds: length of the interval.
        calls: number of requests, ``None`` without a `CallMeter`.
        outcomes: rows by state.
    """

    seconds: float
    calls: int | None
    outcomes: dict[State, int] = field(factory=dict)

    def join(self, other: Bucket) -> Bucket:
        """Return one bucket for both intervals."""
        calls = None if self.calls is None or other.calls is None else self.calls + other.calls
        states = self.outcomes.keys() | other.outcomes.keys()
        outcomes = {state: self.outcomes.get(state, 0) + other.outcomes.get(state, 0) for state in states}
        return Bucket(self.seconds + other.seconds, calls, outcomes)


@frozen
class Monitor:
    """Observers of a run.

    Attributes:
        listener: called with the progress about every `interval`, and at the start and end of each phase. It
            must not block; if it raises, it is not called again.
        call_meter: hook of the client in use, for the cost of the rate limit.
        interval: seconds between two calls of the listener.
        hooks: called with every event of the run, such as `publitrac_async.opentelemetry.OpenTelemetry`.

    Raises:
        ConfigurationError: a setting is of the wrong type, or the interval is not above 0.
    """

    listener: ProgressListener | None = None
    hooks: Sequence[RunHook] = field(default=(), kw_only=True)
    call_meter: CallMeter | None = field(default=None, kw_only=True)
    interval: float = field(default=1.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not is_number(self.interval) or self.interval <= 0:
            raise ConfigurationError("monitor: interval must be above 0 s")
        if self.listener is not None and not callable(self.listener):
            raise ConfigurationError("monitor: listener must be a function that takes a Progress")
        hooks: object = self.hooks
        if not isinstance(hooks, Sequence) or not all(map(callable, hooks)):
            raise ConfigurationError("monitor: hooks must be a list of functions: hooks=[hook]")
        if self.call_meter is not None and not isinstance(self.call_meter, CallMeter):
            raise ConfigurationError(
                "monitor: call_meter must be a CallMeter, which is a hook of the client, too"
            )


class RunMetrics:
    """Counts outcomes and notifies a monitor. Its size does not grow with the run.

    Args:
        monitor: observers of the run.
        clock: monotonic seconds.
    """

    def __init__(self, monitor: Monitor | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        monitor = monitor or Monitor()
        self.interval: float = monitor.interval
        self._listener = monitor.listener
        self._hooks = tuple(monitor.hooks)
        self._names = {"run_id": secrets.token_hex(4), "sink": ""}
        self._meter = call_meter = monitor.call_meter
        self._clock = clock
        self._started = self._last = clock()
        self._phase = Phase.READING
        self._total: int | None = None
        self._done = 0
        self._recent: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._metered = (call_meter.calls, call_meter.waited) if call_meter else (0, 0.0)
        self._outcomes: dict[State, int] = {}
        self.counts: dict[State, int] = {}
        self.timeline: list[Bucket] = []
        self._longest = 0.0

    @property
    def rate_limit(self) -> Rate | None:
        """Limit on the requests, ``None`` if unknown."""
        return None if self._meter is None else self._meter.rate_limit

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def begin_run(self, source: str, sink: str) -> None:
        """Notify the hooks of the start of the run."""
        self._names["sink"] = sink
        self._emit(RunStarted(**self._names, source=source))

    def end_run(
        self, counts: Mapping[State, int], *, stopped: bool = False, error: BaseException | None = None
    ) -> None:
        """Notify the hooks of the end of the run."""
        self._emit(
            RunEnded(
                **self._names,
                outcomes={state.value: rows for state, rows in counts.items() if rows},
                elapsed=self.elapsed,
                stopped=stopped,
                error=None if error is None else type(error).__name__,
            )
        )

    def start(self, phase: Phase, total: int | None, counts: Mapping[State, int] | None = None) -> None:
        """Start a phase.

        Args:
            phase: the phase.
            total: number of its rows, ``None`` if unknown.
            counts: rows by state, for rows that have an outcome already.
        """
        self._phase, self._total, self._done = phase, total, 0
        if phase is Phase.FINISHED:
            self._done = total or 0
        self._recent = deque([(self._clock(), self._done)])
        if counts is not None:
            self.counts = dict(counts)
        self.tick()

    def advance(self, rows: int = 1) -> None:
        """Count rows that have passed this phase."""
        self._done += rows

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count the outcomes of rows."""
        for outcome in outcomes:
            state = _reported(outcome)
            self.counts[state] = self.counts.get(state, 0) + 1
            self._outcomes[state] = self._outcomes.get(state, 0) + 1
        self._done += len(outcomes)
        if self._hooks and outcomes:
            self._emit(RowsCompleted(**self._names, outcomes=count_outcomes(outcomes)))

    def tick(self) -> None:
        """Close the current bucket and notify the listener."""
        now = self._clock()
        calls, waited = (self._meter.calls, self._meter.waited) if self._meter else (0, 0.0)
        new_calls, new_waited = calls - self._metered[0], waited - self._metered[1]
        self._metered = calls, waited
        if self._phase is Phase.SENDING and self._total and now > self._last:
            self._append(Bucket(now - self._last, new_calls if self._meter else None, self._outcomes))
            self._outcomes = {}
        self._last = now
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > _RECENT:
            self._recent.popleft()
        self._notify(new_waited / new_calls if self._meter and new_calls else None)

    def finish(self) -> None:
        """End the current phase and notify the listener."""
        self._total = self._done
        self.tick()

    def _emit(self, event: AnyRunEvent) -> None:
        emit(self._hooks, event)

    def _notify(self, limiter_wait: float | None) -> None:
        if self._listener is None:
            return
        try:
            self._listener(self._progress(limiter_wait))
        except Exception as error:  # noqa: BLE001  (an error of a listener must not end a run)
            name = type(error).__name__
            logger.warning(
                "the progress listener raised %s and is not called again",
                name,
                extra={"error": name, "run_id": self._names["run_id"]},
            )
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

    def _append(self, bucket: Bucket) -> None:
        # Fill the last bucket until it is as long as the joined ones.
        if self.timeline and self.timeline[-1].seconds + bucket.seconds <= self._longest:
            self.timeline[-1] = self.timeline[-1].join(bucket)
            return
        self.timeline.append(bucket)
        if len(self.timeline) > _BUCKETS:
            joined = [
                one.join(two) for one, two in zip(self.timeline[::2], self.timeline[1::2], strict=False)
            ]
            self.timeline = joined + self.timeline[len(joined) * 2 :]
            self._longest = max(each.seconds for each in joined)


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Return the number of rows by state, for events."""
    return dict(Counter(_reported(outcome).value for outcome in outcomes))


def _reported(outcome: Outcome) -> State:
    return State.PENDING if outcome.state is State.RETRY else outcome.state


def format_duration(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
