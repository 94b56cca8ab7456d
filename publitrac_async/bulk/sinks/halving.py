"""Halve calls that fail as a whole, until the records at fault are isolated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field

from publitrac_async.bulk.outcomes import is_fatal
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

#: Consecutive failures that single records may cause. One bad record among 300 takes ten calls to isolate,
#: two neighbours eleven.
_IN_A_ROW: Final = 12
#: Failures after those until the records are given up: calls far from the records at fault may pass.
_ELSEWHERE: Final = 8
#: Codes and statuses of a service that is down, not overloaded by a call.
_AWAY: Final = frozenset({"608", "614", 503})


class Halver:
    """Sends records in calls, and halves the calls that fail.

    A call that took too long, or was refused as a whole, is repeated with half of its records, until it
    passes or one record is left. A record that fails alone is rejected if other calls pass. If no call
    passes, the service or the settings are the cause, not a record.

    Args:
        call: sends records in one call.
        idempotent: true if records may be sent again after a call that may have been applied.

    Attributes:
        successes: calls that passed, of all tasks.
    """

    def __init__(self, call: Call, *, idempotent: bool) -> None:
        self.call = call
        self.idempotent = idempotent
        self.successes = 0

    async def send(
        self, contents: Sequence[Any], calls: Sequence[tuple[int, int]]
    ) -> list[PublitracError | None]:
        """Send records.

        Args:
            contents: the records.
            calls: bounds of each call: index of the first record, and index after the last.

        Returns:
            An outcome for each record: ``None`` if the service accepted it, or the error.
        """
        return await _Delivery(self, contents, [*reversed(calls)]).run()

    def may_pass_in_part(self, error: PublitracError) -> bool:
        """Return True if a call with fewer records may pass."""
        if error.maybe_applied and not self.idempotent:
            return False
        if isinstance(error, OutcomeUnknown | DeadlineExceeded | UnexpectedContent):
            # A call that failed while it waited for the limit or a token does not concern its records.
            return error.maybe_applied or isinstance(error, UnexpectedContent)
        if is_fatal(error) or isinstance(error, RateLimited) or not isinstance(error, ApiError):
            return False
        return not (isinstance(error, ServerError) and {error.code, error.status} & _AWAY)


@define
class _Delivery:
    """Records of one `Halver.send`."""

    halver: Halver
    contents: Sequence[Any]
    #: Bounds of the calls to be made, the next one last.
    calls: list[tuple[int, int]]
    outcomes: dict[int, PublitracError | None] = field(factory=dict)
    #: Errors of records that failed alone in a call, and after which no call has passed yet.
    alone: dict[int, PublitracError] = field(factory=dict)
    #: Failures since the last success of any task, and the number of successes then.
    failures: int = 0
    seen: int = 0
    #: Number of successes before the first call that failed.
    before: int | None = None

    async def run(self) -> list[PublitracError | None]:
        while self.calls:
            self._note_successes()
            first, after = self._next_call()
            try:
                outcomes = await self.halver.call(self.contents[first:after])
            except PublitracError as error:
                self._failed(first, after, error)
            else:
                self.halver.successes += 1
                self.outcomes |= dict(zip(range(first, after), outcomes, strict=True))
        if self.before is not None and self.halver.successes > self.before:
            self._reject()
        for place, failure in self.alone.items():
            # One refusal with a code is evidence in itself, unless all other calls are refused, too.
            final = failure.code is not None and (self.halver.successes or len(self.alone) == 1)
            self.outcomes[place] = failure if final else self._hopeless(failure)
        return [self.outcomes[place] for place in range(len(self.contents))]

    def _note_successes(self) -> None:
        if self.seen != self.halver.successes:
            self.seen, self.failures = self.halver.successes, 0
            self._reject()

    def _reject(self) -> None:
        """Reject the records that failed alone, while other calls passed."""
        self.outcomes |= {place: _rejection(each) for place, each in self.alone.items()}
        self.alone.clear()

    def _next_call(self) -> tuple[int, int]:
        """Return the next call; after many failures in a row the largest, which may lie beside the cause."""
        if self.failures <= _IN_A_ROW:
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
            if _ends(error):
                self._give_up(NotSent(f"not sent, since a call before it failed: {error.message}"))
        elif self.failures > _IN_A_ROW + _ELSEWHERE:
            hopeless = self._hopeless(error)
            self._set(first, after, hopeless)
            self._give_up(hopeless)
            self.outcomes |= dict.fromkeys(self.alone, hopeless)
            self.alone.clear()
        elif after - first > 1:
            middle = (first + after) // 2
            halves = [(middle, after), (first, middle)]
            # The deepest calls stay last.
            self.calls = [*halves, *self.calls] if self.failures > _IN_A_ROW + 1 else [*self.calls, *halves]
        else:
            self.alone[first] = error

    def _give_up(self, error: PublitracError) -> None:
        for first, after in self.calls:
            self._set(first, after, error)
        self.calls.clear()

    def _hopeless(self, error: PublitracError) -> PublitracError:
        """Return the error for records without an outcome: calls fail regardless of their content."""
        if not _is_refusal(error):
            return error
        words = error.vendor_message
        if self.halver.successes and error.code is not None:
            return NotSent(f"one call after the other is refused: {error.message}", vendor_message=words)
        return ConfigurationError(f"every call is refused: {error.message}", vendor_message=words)

    def _set(self, first: int, after: int, error: PublitracError) -> None:
        self.outcomes |= dict.fromkeys(range(first, after), error)


def _ends(error: PublitracError) -> bool:
    """Return True if the calls after a failed one would fail, too."""
    return is_fatal(error) or isinstance(error, NotSent | RateLimited | ServerError)


def _is_refusal(error: PublitracError) -> bool:
    """Return True if a service that works refused the call."""
    return isinstance(error, ApiError) and not isinstance(error, ServerError)


def _rejection(error: PublitracError) -> PublitracError:
    """Return the error of a record that fails alone, while other calls pass."""
    if _is_refusal(error):
        return error
    applied = "; it may have been applied" if error.maybe_applied else ""
    return ApiError(
        f"fails alone in a call, while others pass: {error.message}{applied}",
        code=error.code,
        status=error.status,
        vendor_message=error.vendor_message,
    )
