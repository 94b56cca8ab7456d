"""The table of retry decisions."""

from __future__ import annotations

import math

import pytest

from publitrac_async import (
    ApiError,
    ConfigurationError,
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    RateLimited,
    RetryPolicy,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.config import BULK_RETRY
from publitrac_async.transport.operation import OperationClass
from publitrac_async.transport.retry import RetryBudget, as_throttled, may_repeat, next_wait

READ, UPSERT, APPEND = OperationClass.READ, OperationClass.UPSERT, OperationClass.APPEND


def wait(
    failure: PublitracError,
    policy: RetryPolicy = RetryPolicy(),  # noqa: B008  (frozen)
    *,
    kind: OperationClass = UPSERT,
    attempt: int = 1,
    remaining: float = math.inf,
    budget: RetryBudget | None = None,
    draw: float = 0.5,
) -> float | None:
    return next_wait(
        policy,
        failure,
        kind,
        attempt=attempt,
        remaining=remaining,
        budget=budget or RetryBudget(policy.budget),
        random=lambda: draw,
    )


@pytest.mark.parametrize(
    ("attempt", "draw", "expected"),
    [
        (1, 0.0, 0.0),
        (1, 1.0, 0.25),
        (2, 1.0, 0.5),
        (3, 1.0, 1.0),
        (3, 0.5, 0.5),
        (4, 1.0, None),
        (5, 1.0, None),
    ],
)
def test_waits_double_up_to_the_number_of_attempts(attempt: int, draw: float, expected: float | None) -> None:
    assert wait(NotSent("x"), attempt=attempt, draw=draw) == expected


@pytest.mark.parametrize("attempt", [7, 20, 1100, 100_000])
def test_the_cap_holds_however_many_attempts(attempt: int) -> None:
    assert wait(NotSent("x"), RetryPolicy(attempts=10**6), attempt=attempt, draw=1.0) == 8.0


def test_throttling_waits_longer() -> None:
    assert wait(RateLimited("x"), draw=1.0) == 1.0
    assert wait(RateLimited("x"), attempt=3, draw=1.0) == 4.0


@pytest.mark.parametrize("kind", [ServerError, RateLimited])
@pytest.mark.parametrize(
    ("retry_after", "draw", "expected"),
    [(5.0, 0.0, 5.0), (60.0, 1.0, 60.0), (60.1, 0.0, None), (86400.0, 0.0, None), (0.0, 0.0, 0.0)],
)
@pytest.mark.fault("F13")
def test_retry_after_is_a_floor_and_has_a_limit(
    kind: type[PublitracError], retry_after: float, draw: float, expected: float | None
) -> None:
    assert wait(kind("x", retry_after=retry_after), draw=draw) == expected


def test_bulk_waits_for_longer() -> None:
    assert wait(RateLimited("x", retry_after=300), BULK_RETRY) == 300
    assert wait(RateLimited("x", retry_after=301), BULK_RETRY) is None


@pytest.mark.parametrize(("remaining", "expected"), [(5.01, 5.0), (5.0, None), (0, None), (-1, None)])
def test_a_wait_past_the_deadline_is_not_begun(remaining: float, expected: float | None) -> None:
    budget = RetryBudget(RetryPolicy().budget)
    assert wait(ServerError("x", retry_after=5), remaining=remaining, budget=budget) == expected
    assert (budget.level == 500) == (expected is None), "what is not done costs nothing"


@pytest.mark.parametrize(
    ("failure", "classes"),
    [
        (NotSent("x"), {READ, UPSERT, APPEND}),
        (NotSent("x", retryable=False), set()),
        (OutcomeUnknown("x"), {READ, UPSERT}),
        (ServerError("x", maybe_applied=True), {READ, UPSERT}),
        (ServerError("x", retryable=False), set()),
        (RateLimited("x"), {READ, UPSERT, APPEND}),
        (UnexpectedContent("x"), set()),
        (UnexpectedContent("x", retryable=True, maybe_applied=True), {READ, UPSERT}),
        (ValidationError("x"), set()),
        (ApiError("x"), set()),
    ],
)
def test_calls_that_may_be_repeated(failure: PublitracError, classes: set[OperationClass]) -> None:
    assert {kind for kind in OperationClass if may_repeat(failure, kind)} == classes


@pytest.mark.fault("F14")
def test_an_outage_adds_35_retries_and_no_more() -> None:
    policy = RetryPolicy(attempts=1000)
    budget = RetryBudget(policy.budget)
    waits = [wait(DeadlineExceeded("x"), policy, budget=budget) for _ in range(1000)]
    assert sum(one is not None for one in waits) == 35


def test_throttled_retries_cost_less() -> None:
    budget = RetryBudget(RetryPolicy().budget)
    assert sum(wait(RateLimited("x"), budget=budget) is not None for _ in range(1000)) == 100


def test_the_budget_never_passes_its_capacity_nor_zero() -> None:
    budget = RetryBudget(20)
    assert budget.take(14)
    assert not budget.take(14)
    assert budget.level == 6
    budget.give_back(3)
    assert budget.level == 9
    budget.give_back(1000)
    assert budget.level == 20


@pytest.mark.parametrize(
    "name", ["attempts", "base", "cap", "budget", "cost", "throttle_cost", "max_retry_after"]
)
def test_invalid_figures_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**{name: -1})
    with pytest.raises(ConfigurationError, match="attempts"):
        RetryPolicy(attempts=0)


class TestThrottled:
    """503 means "throttled, not executed" if the user knows that it does."""

    def test_only_the_statuses_that_are_declared(self) -> None:
        busy = ServerError("busy", status=503, maybe_applied=True, retry_after=2.0, vendor_message="slow")
        assert as_throttled(busy, RetryPolicy()) is busy
        assert as_throttled(busy, RetryPolicy(throttled=[502])) is busy  # type: ignore[arg-type]
        throttled = as_throttled(busy, RetryPolicy(throttled=(503,)))
        assert type(throttled) is RateLimited
        assert (throttled.status, throttled.retry_after, throttled.vendor_message) == (503, 2.0, "slow")
        assert throttled.retryable
        assert not throttled.maybe_applied
        assert may_repeat(throttled, APPEND)

    def test_a_code_of_the_vendor_takes_precedence(self) -> None:
        failure = ServerError("failed", status=503, code=9018)
        assert as_throttled(failure, RetryPolicy(throttled=(503,))) is failure

    @pytest.mark.parametrize("throttled", [(200,), (600,), ("503",), (True,)])
    def test_statuses_are_those_of_errors(self, throttled: tuple[int, ...]) -> None:
        with pytest.raises(ConfigurationError):
            RetryPolicy(throttled=throttled)


def test_an_append_waits_for_nothing_once_it_may_be_applied() -> None:
    lost = OutcomeUnknown("lost")
    assert wait(lost, kind=UPSERT) is not None
    assert wait(lost, kind=READ) is not None
    assert wait(lost, kind=APPEND) is None
    assert wait(NotSent("refused"), kind=APPEND) is not None
