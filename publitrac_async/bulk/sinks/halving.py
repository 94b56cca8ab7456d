"""Halve calls that fail as a whole, until the records at fault are isolated."""

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

#: Consecutive failures that single records may cause. One bad record among 300 takes ten calls to isolate,
#: two neighbours eleven. Then the largest call is next: it may lie beside the records at fault.
_IN_A_ROW: Final = 12
#: Consecutive failures after which the service may be the cause, and is asked whether it responds.
_MANY: Final = 20
#: Failures before the first success of a run after which every call is taken to fail. They reach each
#: stretch of ten good records among 300.
_AT_FIRST: Final = 150
#: Codes and statuses of a service that is down, not overloaded by a call.
_AWAY: Final = frozenset({"608", "614", 503})


class Halver:
    """Sends records in calls, and halves the calls that fail.

    A call that took too long, or was refused as a whole, is repeated with half of its records, until it
    passes or one record is left: n records take 2n - 1 calls at most. So every record is accepted that the
    service takes. A record that fails alone is rejected if other calls pass.

    If many calls fail in a row, the service may be the cause. Then one batch at a time is halved further,
    as long as the service responds to calls without records. If no call passes in such a batch, the next ones
    are given up early, until a call passes. Before the first call of all passes, a batch is given up after
    about 150. Many records that only time out in a row stay pending.

    Args:
        call: sends records in one call.
        idempotent: true if records may be sent again after a call that may have been applied.
        responds: returns true if the service responds to a call without records.

    Attributes:
        successes: calls that passed, of all tasks.
        turn: held by the batch that is halved after many failures.
        in_vain: number of successes when a batch was halved to its end and no call passed.
    """

    def __init__(self, call: Call, *, idempotent: bool, responds: Responds | None = None) -> None:
        self.call: Call = call
        self.idempotent: bool = idempotent
        self.responds: Responds = responds or _never
        self.successes: int = 0
        self.turn: asyncio.Lock = asyncio.Lock()
        self.in_vain: int = -1

    async def send(
        self,
        contents: Sequence[Any],
        calls: Sequence[tuple[int, int]],
        *,
        places: Sequence[int] | None = None,
        journal: CallJournal | None = None,
    ) -> list[PublitracError | None]:
        """Send records.

        Args:
            contents: the records.
            calls: bounds of each call: index of the first record, and index after the last.
            places: indexes of the records for `journal`.
            journal: records the calls.

        Returns:
            An outcome for each record: ``None`` if the service accepted it, or the error.
        """
        places = range(len(contents)) if places is None else places
        return await _Delivery(self, contents, [*reversed(calls)], places, journal).run()

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


async def _never() -> bool:
    return False


@define
class _Delivery:
    """Records of one `Halver.send`."""

    halver: Halver
    contents: Sequence[Any]
    #: Bounds of the calls to be made, the next one last.
    calls: list[tuple[int, int]]
    places: Sequence[int]
    journal: CallJournal | None
    outcomes: dict[int, PublitracError | None] = field(factory=dict)
    #: Errors of records that failed alone in a call, and after which no call has passed yet.
    alone: dict[int, PublitracError] = field(factory=dict)
    #: Failures since the last success of any task, and the number of successes then.
    failures: int = 0
    seen: int = 0
    #: Failures after which the service is asked.
    allowed: int = _MANY
    #: Number of successes before the first call that failed.
    before: int | None = None
    #: True while this batch holds `Halver.turn`.
    in_turn: bool = False

    async def run(self) -> list[PublitracError | None]:
        error: PublitracError | None = None
        try:
            while self.calls:
                self._note_successes()
                if error is not None and self.failures > self.allowed and not await self._may_go_on():
                    self.calls += [(place, place + 1) for place in self.alone]
                    self.alone.clear()
                    self._give_up(self._hopeless(error))
                    break
                error = await self._send(*self._next_call()) or error
            if self.failures > _MANY and self.before == self.halver.successes:
                self.halver.in_vain = self.halver.successes
        finally:
            self._leave_turn()
        self._decide(passed=self.before is not None and self.halver.successes > self.before)
        return [self.outcomes[place] for place in range(len(self.contents))]

    async def _send(self, first: int, after: int) -> PublitracError | None:
        """Make a call; return its error."""
        places = self.places[first:after]
        if self.journal is not None:
            await self.journal.begin(places)
        try:
            outcomes = await self.halver.call(self.contents[first:after])
        except PublitracError as error:
            if self.journal is not None:
                self.journal.end(places, [_undecided(error)] * len(places))
            self._failed(first, after, error)
            return error
        if self.journal is not None:
            self.journal.end(places, outcomes)
        self.halver.successes += 1
        self.outcomes |= dict(zip(range(first, after), outcomes, strict=True))
        return None

    async def _may_go_on(self) -> bool:
        """Return True if the records may be the cause of many failures in a row, not the service."""
        if not self.in_turn:
            if self.journal is not None:
                self.journal.flush()
            await self.halver.turn.acquire()
            self.in_turn = True
            if self._note_successes():
                return True
        passed = self.halver.successes
        if self.halver.in_vain == passed or (not passed and self.failures > _AT_FIRST):
            return False
        if not await self.halver.responds():
            return False
        self.allowed += _MANY
        return True

    def _leave_turn(self) -> None:
        if self.in_turn:
            self.in_turn = False
            self.halver.turn.release()

    def _note_successes(self) -> bool:
        """Return True if calls have passed since the last look, of any task."""
        if self.seen == self.halver.successes:
            return False
        self._decide(passed=True)
        self.seen, self.failures, self.allowed = self.halver.successes, 0, _MANY
        self._leave_turn()
        return True

    def _decide(self, *, passed: bool) -> None:
        """Decide about the records that failed alone.

        Args:
            passed: other calls passed.
        """
        few = self.failures <= _MANY
        for place, error in self.alone.items():
            # One refusal with a code is evidence in itself, unless all other calls are refused, too.
            final = error.code is not None and (self.halver.successes or len(self.alone) == 1)
            if passed and (few or _is_refusal(error)):
                self.outcomes[place] = _rejection(error)
            elif few and final:
                self.outcomes[place] = error
            else:
                self.outcomes[place] = self._hopeless(error)
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


def _undecided(error: PublitracError) -> PublitracError:
    """Return the error of the records of a failed call, before it is known which one is at fault."""
    return error if error.maybe_applied else NotSent(f"not taken yet: {error.message}")


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
