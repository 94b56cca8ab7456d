"""Outcomes of calls, and the limits of failures that end a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, frozen

from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.config import is_number
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    DeadlineExceeded,
    LimiterUnavailable,
    PermissionDenied,
    PublitracError,
    QuotaExhausted,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.vendor_messages import shortened

#: Errors that every later call would raise as well.
_FATAL: Final = (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    PermissionDenied,
    QuotaExhausted,
)
#: Outcome of a success, by `Sink.success_state`.
SUCCESS: Final = {state: Outcome(state) for state in (State.OK, State.ACCEPTED)}


def is_fatal(error: PublitracError) -> bool:
    """Return True if `error` ends the run."""
    return isinstance(error, _FATAL)


def outcome_of(error: PublitracError) -> Outcome:
    """Return the outcome of a row that failed."""
    return Outcome(_state(error), type(error).__name__, error.message, code_of(error), _message(error))


def _message(error: PublitracError) -> str | None:
    """Return the service's message; Vitec has one per field, in the problems."""
    if error.vendor_message is None and isinstance(error, ValidationError):
        return shortened(*(problem.text for problem in error.problems))
    return error.vendor_message


def _state(error: PublitracError) -> State:
    if error.maybe_applied:
        return State.UNKNOWN
    if is_fatal(error) or error.retryable or isinstance(error, DeadlineExceeded):
        return State.RETRY
    if isinstance(error, UnexpectedContent):
        return State.UNKNOWN  # A web page instead of a response: the lead is not at fault.
    return State.REJECTED if isinstance(error, ApiError) else State.UNKNOWN


def code_of(error: PublitracError) -> str | None:
    """Return the service's code of an error, or of the first problem that has one."""
    code = error.code
    if code is None and isinstance(error, ValidationError):
        code = next((problem.code for problem in error.problems if problem.code is not None), None)
    return None if code is None else str(code)


@frozen(kw_only=True)
class ErrorBudget:
    """Limits on failures. A run that exceeds them ends, so a wrong mapping or an outage harms few rows.

    A failure is a rejected row, or a call without a usable response, which counts once for all its rows.
    Failures of earlier runs do not count.

    Attributes:
        failures: number of failures that are always allowed.
        share: share of failed rows that is allowed beyond `failures`, from 0 to 1. 1 turns this limit off.
        in_a_row: number of consecutive calls without a usable response that count as an outage.

    Raises:
        ConfigurationError: a limit is out of its range.
    """

    failures: int = 100
    share: float = 0.5
    in_a_row: int = 50

    def __attrs_post_init__(self) -> None:
        if not is_number(self.share, least=0) or self.share > 1:
            raise ConfigurationError(f"error_budget: share is from 0 to 1, such as 0.5, not {self.share!r}")
        if not is_number(self.failures, least=0) or not is_number(self.in_a_row, least=1):
            raise ConfigurationError("error_budget: failures must be at least 0, in_a_row at least 1")

    def check_source(self, rejected: int, rows: int) -> str | None:
        """Check the rejections of a source before the first call.

        Returns:
            The reason why the run must not start, ``None`` if it may.
        """
        if rejected > self.failures and rejected > self.share * rows:
            return f"{rejected} of {rows} rows cannot be sent: the error budget is exceeded"
        return None

    def tracker(self) -> BudgetTracker:
        """Return a tracker for a new run."""
        return BudgetTracker(self)


@define
class BudgetTracker:
    """Counts failures against an `ErrorBudget`.

    Attributes:
        budget: the limits.
        total: rows with a response, and calls without one.
        failed: failures among them.
        in_a_row: consecutive calls without a usable response.
    """

    budget: ErrorBudget
    total: int = 0
    failed: int = 0
    in_a_row: int = 0

    def add_call(self, outcomes: Sequence[Outcome]) -> None:
        """Count a call by the outcomes of its rows. A call that a shared limiter prevented does not count."""
        with_response = rejected = without_response = 0
        for each in outcomes:
            if each.state not in (State.RETRY, State.UNKNOWN):
                with_response += 1
                rejected += each.kind is not None
            elif each.kind != LimiterUnavailable.__name__:
                without_response = 1
        self.total += with_response + without_response
        self.failed += rejected + without_response
        if with_response:
            self.in_a_row = 0
        else:
            self.in_a_row += without_response

    @property
    def exceeded(self) -> str | None:
        """Reason why the run has to stop, ``None`` within the budget."""
        if self.in_a_row >= self.budget.in_a_row:
            return f"{self.in_a_row} calls in a row got no usable response: the service appears to be down"
        if self.failed > self.budget.failures and self.failed > self.budget.share * self.total:
            return f"{self.failed} failures in {self.total}: the error budget is exceeded"
        return None
