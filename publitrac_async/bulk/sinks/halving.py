"""Halve calls that fail as a whole until the records at fault are isolated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field

from publitrac_async.bulk.outcomes import is_fatal
from publitrac_async.bulk.sinks.base import CallJournal
from publitrac_async.errors import (
    ApiError,
    ConfigurationError,
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
)

#: Function that sends records in one call, and returns an outcome for each.
Call: TypeAlias = Callable[[Sequence[Any]], Awaitable[Sequence[PublitracError | None]]]
#: Function that returns True if the service responds to a call without records.
Responds: TypeAlias = Callable[[], Awaitable[bool]]

#: Consecutive failures after which the largest call is next, not the deepest: it may hold no record at fault.
#: One bad record among 300 takes ten calls to isolate, two adjacent ones eleven.
_LARGEST_AFTER: Final = 12
#: Consecutive failures after which the service may be the cause, and is checked.
_CHECK_AFTER: Final = 20
#: Failures without any success after which all calls of a run are considered to fail. They suffice to reach
#: every ten consecutive good records among 300.
_MAX_WITHOUT_SUCCESS: Final = 150
#: Codes and statuses of a service that is down, not overloaded by a call.
_DOWN: Final = frozenset({"608", "614", 503})


class Halver:
    """Sends records in calls, and halves the calls that fail.

    A call that took too long, or was refused as a whole, is repeated with half of its records, until it
    succeeds or one record is left: n records take at most 2n - 1 calls. So every record that the service can
    accept is accepted. A record that fails alone is rejected if other calls succeed.

    If many calls fail in a row, the service may be the cause. Then one batch at a time is halved further, as
    long as the service responds to calls without records. If no call of such a batch succeeds, the next
    batches are given up early, until a call succeeds. Before the first success of a run, a batch is given up
    after about 150 failures. Many records in a row that only time out stay pending.

    Args:
        call: sends records in one call.
        idempotent: true if records may be sent again after a call that may have been applied.
        responds: returns true if the service responds to a call without records.

    Attributes:
        successes: number of calls that succeeded, of all tasks.
        lock: held by the batch that is halved further after many failures.
        failed_at: number of successes when a batch was halved to its end without a success.
    """

    def __init__(self, call: Call, *, idempotent: bool, responds: Responds | None = None) -> None:
        self.call: Call = call
        self.idempotent: bool = idempotent
        self.responds: Responds = responds or _never
        self.successes: int = 0
        self.lock: asyncio.Lock = asyncio.Lock()
        self.failed_at: int = -1

    async def send(
        self,
        contents: Sequence[Any],
        calls: Sequence[tuple[int, int]],
        *,
        indexes: Sequence[int] | None = None,
        journal: CallJournal | None = None,
    ) -> list[PublitracError | None]:
        """Send records.

        Args:
            contents: the records.
            calls: bounds of each call: index of the first record, and index after the last.
            indexes: indexes of the records for `journal`.
            journal: records the calls.

        Returns:
            An outcome for each record: ``None`` if the service accepted it, or the error.
        """
        indexes = range(len(contents)) if indexes is None else indexes
        return await _Delivery(self, contents, [*reversed(calls)], indexes, journal).run()

    def may_pass_in_part(self, error: PublitracError) -> bool:
        """Return True if a call with fewer records may succeed."""
        if error.maybe_applied and not self.idempotent:
            return False
        if isinstance(error, OutcomeUnknown | DeadlineExceeded | UnexpectedContent):
            # If a call failed while it waited for the limiter or a token, its records are not the cause.
            return error.maybe_applied or isinstance(error, UnexpectedContent)
        if is_fatal(error) or isinstance(error, RateLimited) or not isinstance(error, ApiError):
            return False
        return not (isinstance(error, ServerError) and {error.code, error.status} & _DOWN)


async def _never() -> bool:
    return False


@define
class _Delivery:
    """Records of one `Halver.send`."""

    halver: Halver
    contents: Sequence[Any]
    #: Bounds of the calls to be made, the next one last.
    calls: list[tuple[int, int]]
    indexes: Sequence[int]
    journal: CallJournal | None
    outcomes: dict[int, PublitracError | None] = field(factory=dict)
    #: Errors of records that failed alone in a call, as long as no later call has succeeded.
    alone: dict[int, PublitracError] = field(factory=dict)
    #: Failures since the last success of any task, and the number of successes then.
    failures: int = 0
    seen: int = 0
    #: Failures after which the service is checked.
    allowed: int = _CHECK_AFTER
    #: Number of successes before the first call that failed.
    before: int | None = None
    #: True while this batch holds `Halver.lock`.
    holds_lock: bool = False

    async def run(self) -> list[PublitracError | None]:
        error: PublitracError | None = None
        try:
            while self.calls:
                self._note_successes()
                if error is not None and self.failures > self.allowed and not await self._may_continue():
                    self.calls += [(index, index + 1) for index in self.alone]
                    self.alone.clear()
                    self._give_up(self._error_without_outcome(error))
                    break
                error = await self._send(*self._next_call()) or error
            if self.failures > _CHECK_AFTER and self.before == self.halver.successes:
                self.halver.failed_at = self.halver.successes
        finally:
            self._release_lock()
        self._decide(passed=self.before is not None and self.halver.successes > self.before)
        return [self.outcomes[index] for index in range(len(self.contents))]

    async def _send(self, first: int, after: int) -> PublitracError | None:
        """Make a call; return its error."""
        indexes = self.indexes[first:after]
        if self.journal is not None:
            await self.journal.begin(indexes)
        try:
            outcomes = await self.halver.call(self.contents[first:after])
        except PublitracError as error:
            if self.journal is not None:
                self.journal.end(indexes, [_undecided(error)] * len(indexes))
            self._failed(first, after, error)
            return error
        if self.journal is not None:
            self.journal.end(indexes, outcomes)
        self.halver.successes += 1
        self.outcomes |= dict(zip(range(first, after), outcomes, strict=True))
        return None

    async def _may_continue(self) -> bool:
        """Return True if the records, rather than the service, may be the cause of many failures in a row."""
        if not self.holds_lock:
            if self.journal is not None:
                self.journal.flush()
            await self.halver.lock.acquire()
            self.holds_lock = True
            if self._note_successes():
                return True
        passed = self.halver.successes
        if self.halver.failed_at == passed or (not passed and self.failures > _MAX_WITHOUT_SUCCESS):
            return False
        if not await self.halver.responds():
            return False
        self.allowed += _CHECK_AFTER
        return True

    def _release_lock(self) -> None:
        if self.holds_lock:
            self.holds_lock = False
            self.halver.lock.release()

    def _note_successes(self) -> bool:
        """Return True if a call of any task has succeeded since the last check."""
        if self.seen == self.halver.successes:
            return False
        self._decide(passed=True)
        self.seen, self.failures, self.allowed = self.halver.successes, 0, _CHECK_AFTER
        self._release_lock()
        return True

    def _decide(self, *, passed: bool) -> None:
        """Decide the outcomes of the records that failed alone.

        Args:
            passed: true if other calls succeeded.
        """
        few = self.failures <= _CHECK_AFTER
        for index, error in self.alone.items():
            # A single refusal with a code is sufficient evidence, unless all other calls are refused as well.
            final = error.code is not None and (self.halver.successes or len(self.alone) == 1)
            if passed and (few or _is_refusal(error)):
                self.outcomes[index] = _rejection(error)
            elif few and final:
                self.outcomes[index] = error
            else:
                self.outcomes[index] = self._error_without_outcome(error)
        self.alone.clear()

    def _next_call(self) -> tuple[int, int]:
        """Return the next call; after many failures in a row the largest, which may be without fault."""
        if self.failures <= _LARGEST_AFTER:
            return self.calls.pop()
        largest = max(self.calls, key=lambda each: (each[1] - each[0], each))
        self.calls.remove(largest)
        return largest

    def _failed(self, first: int, after: int, error: PublitracError) -> None:
        if self.before is None:
            self.before = self.seen
        self._note_successes()
        self.failures += 1
        if not self.halver.may_pass_in_part(error):
            self._set(first, after, error)
            if _fails_all(error):
                self._give_up(NotSent(f"not sent, because an earlier call failed: {error.message}"))
        elif after - first > 1:
            middle = (first + after) // 2
            halves = [(middle, after), (first, middle)]
            # The deepest calls are made last.
            self.calls = (
                [*halves, *self.calls] if self.failures > _LARGEST_AFTER + 1 else [*self.calls, *halves]
            )
        else:
            self.alone[first] = error

    def _give_up(self, error: PublitracError) -> None:
        for first, after in self.calls:
            self._set(first, after, error)
        self.calls.clear()

    def _error_without_outcome(self, error: PublitracError) -> PublitracError:
        """Return the error for records without an outcome, when calls fail regardless of their content."""
        if not _is_refusal(error):
            return error
        message = error.vendor_message
        if self.halver.successes and error.code is not None:
            return NotSent(f"many calls in a row are refused: {error.message}", vendor_message=message)
        return ConfigurationError(f"every call is refused: {error.message}", vendor_message=message)

    def _set(self, first: int, after: int, error: PublitracError) -> None:
        self.outcomes |= dict.fromkeys(range(first, after), error)


def _fails_all(error: PublitracError) -> bool:
    """Return True if all later calls would fail as well."""
    return is_fatal(error) or isinstance(error, NotSent | RateLimited | ServerError)


def _is_refusal(error: PublitracError) -> bool:
    """Return True if the service works and refused the call."""
    return isinstance(error, ApiError) and not isinstance(error, ServerError)


def _undecided(error: PublitracError) -> PublitracError:
    """Return the error for the records of a failed call until those at fault are known."""
    return error if error.maybe_applied else NotSent(f"not accepted yet: {error.message}")


def _rejection(error: PublitracError) -> PublitracError:
    """Return the error of a record that fails alone while other calls succeed."""
    if _is_refusal(error):
        return error
    applied = "; it may have been applied" if error.maybe_applied else ""
    return ApiError(
        f"fails alone in a call while other calls succeed: {error.message}{applied}",
        code=error.code,
        status=error.status,
        vendor_message=error.vendor_message,
    )
