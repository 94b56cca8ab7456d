"""What the end of a call means for a row, and when failures are enough to end the run."""

from __future__ import annotations

from typing import Final

from attrs import define, frozen

from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    DeadlineExceeded,
    PermissionDenied,
    PublitracError,
    QuotaExhausted,
    UnexpectedContent,
    ValidationError,
)

#: No later row would fare better.
_STOPPING: Final = (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    PermissionDenied,
    QuotaExhausted,
)


_TAKEN: Final = {state: Outcome(state) for state in (State.OK, State.ACCEPTED)}


def stops(error: PublitracError) -> bool:
    """Whether `error` ends the run."""
    return isinstance(error, _STOPPING)


def judge(error: PublitracError | None, success: State) -> Outcome:
    """The outcome of a row.

    Args:
        error: why it was not taken, ``None`` if it was.
        success: what a success means to the sink.
    """
    if error is None:
        return _TAKEN[success]
    return Outcome(_state(error), type(error).__name__, error.message, code_of(error))


def _state(error: PublitracError) -> State:
    if error.maybe_applied:
        return State.UNKNOWN
    if stops(error) or error.retryable or isinstance(error, DeadlineExceeded):
        return State.RETRY
    if isinstance(error, UnexpectedContent):
        return State.UNKNOWN  # A web page in place of an answer says nothing about the lead.
    return State.REJECTED if isinstance(error, ApiError) else State.UNKNOWN


def code_of(error: PublitracError) -> str | None:
    """The service's code of an error, or of the first of its problems."""
    code = error.code
    if code is None and isinstance(error, ValidationError):
        code = next((problem.code for problem in error.problems if problem.code is not None), None)
    return None if code is None else str(code)


@frozen(kw_only=True)
class ErrorBudget:
    """How much may fail before a run stops, so that a wrong mapping or a dead service harms few rows.

    Attributes:
        failures: rows that may fail (rejected, unknown, or not executed) before `share` is looked at.
        share: part of the rows with an outcome that may have failed, from 0 to 1. 1 turns this off.
        in_a_row: calls without a usable answer, one after the other, that are taken for an outage.
    """

    failures: int = 100
    share: float = 0.5
    in_a_row: int = 50

    def refuses(self, rejected: int, rows: int) -> str | None:
        """Why a run does not even begin: too many rows were rejected on reading, so the mapping is wrong."""
        if rejected > self.failures and rejected > self.share * rows:
            return f"{rejected} of {rows} rows cannot be sent, more than the error budget allows"
        return None


@define
class Spending:
    """What of an `ErrorBudget` is used up."""

    budget: ErrorBudget
    rows: int = 0
    failed: int = 0
    unanswered: int = 0

    def add(self, outcome: Outcome) -> None:
        """Note the outcome of a row."""
        self.rows += 1
        self.failed += outcome.kind is not None
        answered = outcome.state not in (State.RETRY, State.UNKNOWN)
        self.unanswered = 0 if answered else self.unanswered + 1

    @property
    def exceeded(self) -> str | None:
        """Why the run has to stop, ``None`` if it need not."""
        if self.unanswered >= self.budget.in_a_row:
            return f"{self.unanswered} rows in a row got no usable answer: the service seems to be away"
        if self.failed > self.budget.failures and self.failed > self.budget.share * self.rows:
            return f"{self.failed} of {self.rows} rows failed, more than the error budget allows"
        return None
