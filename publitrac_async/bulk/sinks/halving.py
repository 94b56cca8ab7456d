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
    #: Errors of records that failed alone in a call.
    alone: dict[int, PublitracError] = field(factory=dict)
    #: Failures since the last success of any task, and the number of successes then.
    failures: int = 0
    seen: int = 0

    async def run(self) -> list[PublitracError | None]:
        before = self.halver.successes
        while self.calls:
            first, after = self.calls.pop()
            try:
                outcomes = await self.halver.call(self.contents[first:after])
            except PublitracError as error:
                self._failed(first, after, error)
            else:
                self.halver.successes += 1
                self.outcomes |= dict(zip(range(first, after), outcomes, strict=True))
        passed = self.halver.successes > before
        self.outcomes |= {place: _rejection(each) if passed else each for place, each in self.alone.items()}
        return [self.outcomes[place] for place in range(len(self.contents))]

    def _failed(self, first: int, after: int, error: PublitracError) -> None:
        if self.seen != self.halver.successes:
            self.seen, self.failures = self.halver.successes, 0
        self.failures += 1
        if not self.halver.may_pass_in_part(error):
            self._set(first, after, error)
            if _ends(error):
                self._give_up(NotSent(f"not sent, since a call before it failed: {error.message}"))
        elif self.failures > _IN_A_ROW:
            hopeless = _hopeless(error)
            self._set(first, after, hopeless)
            self._give_up(hopeless)
            self.alone = dict.fromkeys(self.alone, hopeless)
        elif after - first == 1:
            self.alone[first] = error
        else:
            middle = (first + after) // 2
            self.calls += [(middle, after), (first, middle)]

    def _give_up(self, error: PublitracError) -> None:
        for first, after in self.calls:
            self._set(first, after, error)
        self.calls.clear()

    def _set(self, first: int, after: int, error: PublitracError) -> None:
        self.outcomes |= dict.fromkeys(range(first, after), error)


def _ends(error: PublitracError) -> bool:
    """Return True if the calls after a failed one would fail, too."""
    return is_fatal(error) or isinstance(error, NotSent | RateLimited | ServerError)


def _hopeless(error: PublitracError) -> PublitracError:
    """Return the error for records without an outcome: calls fail regardless of their content."""
    if isinstance(error, ApiError) and not isinstance(error, ServerError):
        return ConfigurationError(f"every call is refused: {error.message}")
    return error


def _rejection(error: PublitracError) -> PublitracError:
    """Return the error of a record that fails alone, while other calls pass."""
    if isinstance(error, ApiError) and not isinstance(error, ServerError):
        return error
    applied = "; it may have been applied" if error.maybe_applied else ""
    return ApiError(
        f"fails alone in a call, while others pass: {error.message}{applied}",
        code=error.code,
        status=error.status,
    )
