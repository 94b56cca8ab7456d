"""Decisions on retries, without waiting or sending.

Too many calls are `RateLimited` here: by HTTP 429 (`transport/classify.py`), by a status that the policy
names (`as_throttled`), or by a code in the response (`v1/responses.py`, `v2/responses.py`,
`marketo/codes.py`). `_wait_or_give_up` in `transport/pipeline.py` pauses the rate limiter for
``Retry-After``, and asks `next_wait`.
"""

from __future__ import annotations

from collections.abc import Callable

from publitrac_async.config import RetryPolicy
from publitrac_async.errors import LimiterUnavailable, PublitracError, RateLimited, ServerError
from publitrac_async.transport.operation import OperationClass


class RetryBudget:
    """Retry budget of all calls of a client: while the service is down, retries stop adding to its load.

    Args:
        capacity: size of the budget, which starts full.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.level: int = capacity

    def take(self, amount: int) -> bool:
        """Take `amount`; return False if the budget has less."""
        if amount > self.level:
            return False
        self.level -= amount
        return True

    def give_back(self, amount: int) -> None:
        """Return the cost of a retry that succeeded, or 1 for a call that succeeded at once."""
        self.level = min(self._capacity, self.level + amount)


def as_throttled(failure: PublitracError, policy: RetryPolicy) -> PublitracError:
    """Return `failure`, or `RateLimited` if the policy lists its HTTP status as throttling.

    A vendor's code in the response takes precedence over the status.
    """
    if not isinstance(failure, ServerError) or failure.code is not None:
        return failure
    if failure.status not in policy.throttled:
        return failure
    return RateLimited(
        "too many calls",
        status=failure.status,
        retry_after=failure.retry_after,
        vendor_message=failure.vendor_message,
    )


def may_repeat(failure: PublitracError, operation_class: OperationClass) -> bool:
    """Return True if the same call may be sent again after `failure` (the table "Operation classes")."""
    if not failure.retryable:
        return False
    return operation_class is not OperationClass.APPEND or not failure.maybe_applied


def next_wait(
    policy: RetryPolicy,
    failure: PublitracError,
    operation_class: OperationClass,
    *,
    attempt: int,
    remaining: float,
    budget: RetryBudget,
    random: Callable[[], float],
) -> float | None:
    """Return the seconds to wait before attempt `attempt` + 1, or ``None`` to give up.

    Args:
        policy: policy of the call.
        failure: error of the last attempt.
        operation_class: class of the operation.
        attempt: number of the attempt that failed, from 1.
        remaining: seconds until the deadline of the call; a longer wait would be useless.
        budget: charged last, so that only actual retries cost.
        random: uniform in [0, 1).
    """
    if attempt >= policy.attempts or not may_repeat(failure, operation_class):
        return None
    if isinstance(failure, LimiterUnavailable):  # The call has already waited for it.
        return None
    floor = failure.retry_after or 0.0
    if floor > policy.max_retry_after:
        return None
    base = policy.throttle_base if isinstance(failure, RateLimited) else policy.base
    # The exponent is limited to avoid overflow; no cap is that many times its base.
    wait = max(floor, random() * min(policy.cap, base * 2.0 ** min(attempt - 1, 64)))
    cost = policy.throttle_cost if isinstance(failure, RateLimited) else policy.cost
    if wait >= remaining or not budget.take(cost):
        return None
    return wait
