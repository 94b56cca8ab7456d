from __future__ import annotations

import pytest

from publitrac_async.bulk import CallMeter, ErrorBudget, Monitor, Phase, Progress, State
from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.rows import Outcome
from publitrac_async.transport.events import RequestSent, TokenRenewed


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def pass_time(metrics: RunMetrics, clock: Clock, seconds: float, rows: int, state: State = State.OK) -> None:
    clock.time += seconds
    metrics.add([Outcome(state)] * rows)
    metrics.tick()


def test_rate_and_end_are_of_the_last_ten_seconds() -> None:
    seen: list[Progress] = []
    clock = Clock()
    metrics = RunMetrics(Monitor(seen.append), clock)
    metrics.start(Phase.SENDING, 1000)
    for _ in range(20):
        pass_time(metrics, clock, 1, 10)
    assert (seen[-1].rate, seen[-1].remaining, seen[-1].elapsed) == (10, 80, 20)
    for _ in range(12):
        pass_time(metrics, clock, 1, 30)
    assert 29 < seen[-1].rate <= 30
    assert seen[-1].done == 560


def test_no_end_is_estimated_before_the_first_outcome() -> None:
    seen: list[Progress] = []
    clock = Clock()
    metrics = RunMetrics(Monitor(seen.append), clock)
    metrics.start(Phase.SENDING, 10)
    clock.time += 5
    metrics.tick()
    assert (seen[-1].rate, seen[-1].remaining, seen[-1].limiter_wait) == (0, None, None)


def test_the_wait_for_the_limit_is_the_mean_of_the_last_calls() -> None:
    seen: list[Progress] = []
    meter = CallMeter()
    metrics = RunMetrics(Monitor(seen.append, call_meter=meter), Clock())
    for wait in (0.25, 0.75):
        meter(RequestSent(operation="delayedSync", attempt=1, limiter_wait=wait))
    meter(TokenRenewed(ttl=900))
    metrics.tick()
    metrics.tick()
    assert [each.limiter_wait for each in seen] == [0.5, None]


def test_a_listener_that_raises_is_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Progress] = []

    def listen(progress: Progress) -> None:
        seen.append(progress)
        raise BrokenPipeError("lead@example.com")

    metrics = RunMetrics(Monitor(listen), Clock())
    metrics.tick()
    metrics.tick()
    assert len(seen) == 1
    assert caplog.messages == ["the progress listener raised BrokenPipeError and is not called again"]


def test_the_timeline_is_bounded_and_loses_no_outcome() -> None:
    clock, meter = Clock(), CallMeter()
    metrics = RunMetrics(Monitor(call_meter=meter), clock)
    metrics.start(Phase.SENDING, 10**6)
    for second in range(30_000):
        meter.calls += 2
        pass_time(metrics, clock, 1, 1, State.ACCEPTED if second % 3 else State.REJECTED)
    assert len(metrics.timeline) <= 240
    assert sum(bucket.seconds for bucket in metrics.timeline) == 30_000
    assert sum(bucket.calls or 0 for bucket in metrics.timeline) == 60_000
    totals = {state: sum(s.outcomes.get(state, 0) for s in metrics.timeline) for state in metrics.counts}
    assert totals == metrics.counts == {State.ACCEPTED: 20_000, State.REJECTED: 10_000}
    lengths = {bucket.seconds for bucket in metrics.timeline[:-1]}
    assert len(lengths) == 1


REJECTED, OK = Outcome(State.REJECTED, "Conflict"), Outcome(State.OK)
LOST, NOT_SENT = Outcome(State.UNKNOWN, "OutcomeUnknown"), Outcome(State.RETRY, "NotSent")


def test_the_budget_limits_the_share_only_after_the_first_failures() -> None:
    tracker = ErrorBudget(failures=3, share=0.5, in_a_row=99).tracker()
    for _ in range(3):
        tracker.add_call([REJECTED])
    assert tracker.exceeded is None
    for outcome in (OK, OK, OK, OK, OK, REJECTED, REJECTED):
        tracker.add_call([outcome])
        assert tracker.exceeded is None
    tracker.add_call([LOST])
    assert tracker.exceeded == "6 failures in 11: the error budget is exceeded"


def test_a_call_without_a_response_is_one_failure_however_many_rows_it_has() -> None:
    tracker = ErrorBudget(failures=3, share=0.5, in_a_row=4).tracker()
    for _ in range(3):
        tracker.add_call([NOT_SENT] * 300)
        assert tracker.exceeded is None
    tracker.add_call([NOT_SENT] * 300)
    assert tracker.exceeded == "4 calls in a row got no usable response: the service appears to be down"


def test_rejected_rows_of_a_batch_count_one_by_one() -> None:
    tracker = ErrorBudget(failures=100, share=0.5).tracker()
    tracker.add_call([REJECTED] * 150 + [OK] * 150)
    assert tracker.exceeded is None
    tracker.add_call([REJECTED] * 2)
    assert tracker.exceeded == "152 failures in 302: the error budget is exceeded"


def test_one_response_ends_a_series_of_calls_without_one() -> None:
    tracker = ErrorBudget(in_a_row=3).tracker()
    for outcomes in ([LOST], [LOST], [LOST, OK], [NOT_SENT], [LOST]):
        tracker.add_call(outcomes)
        assert tracker.exceeded is None
