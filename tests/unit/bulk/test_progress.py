from __future__ import annotations

import pytest

from publitrac_async.bulk import CallMeter, ErrorBudget, Phase, Progress, State
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.outcomes import Spending
from publitrac_async.bulk.progress import Course
from publitrac_async.transport.events import RequestSent, TokenRenewed


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def settle(course: Course, clock: Clock, seconds: float, rows: int, state: State = State.OK) -> None:
    clock.time += seconds
    for _ in range(rows):
        course.settled(Outcome(state))
    course.tick()


def test_rate_and_end_are_of_the_last_ten_seconds() -> None:
    seen: list[Progress] = []
    clock = Clock()
    course = Course(seen.append, clock=clock)
    course.enter(Phase.SENDING, 1000)
    for _ in range(20):
        settle(course, clock, 1, 10)
    assert (seen[-1].rate, seen[-1].remaining, seen[-1].elapsed) == (10, 80, 20)
    for _ in range(12):
        settle(course, clock, 1, 30)
    assert 29 < seen[-1].rate <= 30
    assert seen[-1].done == 560


def test_nothing_is_said_of_the_end_before_a_row_is_through() -> None:
    seen: list[Progress] = []
    clock = Clock()
    course = Course(seen.append, clock=clock)
    course.enter(Phase.SENDING, 10)
    clock.time += 5
    course.tick()
    assert (seen[-1].rate, seen[-1].remaining, seen[-1].limiter_wait) == (0, None, None)


def test_the_wait_for_the_limit_is_the_mean_of_the_last_calls() -> None:
    seen: list[Progress] = []
    meter = CallMeter()
    course = Course(seen.append, meter, Clock())
    for wait in (0.25, 0.75):
        meter(RequestSent(operation="delayedSync", attempt=1, limiter_wait=wait))
    meter(TokenRenewed(ttl=900))
    course.tick()
    course.tick()
    assert [each.limiter_wait for each in seen] == [0.5, None]


def test_a_listener_that_raises_is_not_called_again(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Progress] = []

    def listen(progress: Progress) -> None:
        seen.append(progress)
        raise BrokenPipeError("lead@example.com")

    course = Course(listen, clock=Clock())
    course.tick()
    course.tick()
    assert len(seen) == 1
    assert caplog.messages == ["the progress listener raised BrokenPipeError and is not called again"]


def test_what_is_remembered_does_not_grow_and_loses_nothing() -> None:
    clock, meter = Clock(), CallMeter()
    course = Course(None, meter, clock)
    course.enter(Phase.SENDING, 10**6)
    for second in range(30_000):
        meter.calls += 2
        settle(course, clock, 1, 1, State.ACCEPTED if second % 3 else State.REJECTED)
    assert len(course.stretches) <= 240
    assert sum(stretch.seconds for stretch in course.stretches) == 30_000
    assert sum(stretch.calls or 0 for stretch in course.stretches) == 60_000
    totals = {state: sum(s.outcomes.get(state, 0) for s in course.stretches) for state in course.counts}
    assert totals == course.counts == {State.ACCEPTED: 20_000, State.REJECTED: 10_000}
    lengths = {stretch.seconds for stretch in course.stretches[:-1]}
    assert len(lengths) == 1


def test_the_budget_looks_at_the_share_only_behind_some_failures() -> None:
    spending = Spending(ErrorBudget(failures=3, share=0.5, in_a_row=99))
    for _ in range(3):
        spending.add(Outcome(State.REJECTED, "Conflict"))
    assert spending.exceeded is None
    for _ in range(5):
        spending.add(Outcome(State.OK))
    spending.add(Outcome(State.REJECTED, "Conflict"))
    assert spending.exceeded is None
    spending.add(Outcome(State.REJECTED, "Conflict"))
    assert spending.exceeded is None
    spending.add(Outcome(State.UNKNOWN, "OutcomeUnknown"))
    assert spending.exceeded == "6 of 11 rows failed, more than the error budget allows"
