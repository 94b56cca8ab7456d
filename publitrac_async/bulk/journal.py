"""Record the calls for one batch in the state store, before and after each call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from publitrac_async.bulk.outcomes import SUCCESS, outcome_of
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import StateWriter
from publitrac_async.errors import PublitracError

#: Outcome of a row without a call.
NOT_CALLED: Final = Outcome(State.RETRY)


class StoppedElsewhere(Exception):
    """Another process stopped the run: no further call may start."""


class BatchJournal:
    """Records the calls for one batch; see `CallJournal`.

    Args:
        state: state store.
        keys: business keys of the rows.
        success_state: see `Sink.success_state`.
        completed: future of the same task's last call, whose outcomes must be durable before the next call.
    """

    def __init__(
        self,
        state: StateWriter,
        keys: Sequence[str],
        success_state: State,
        completed: asyncio.Future[None] | None,
    ) -> None:
        self._state = state
        self._keys = keys
        self._success = SUCCESS[success_state]
        self._completed = completed
        #: Outcomes of ended calls by index of the row.
        self._outcomes: dict[int, Outcome] = {}
        self._in_flight: Sequence[int] = ()
        #: Outcomes of the last call until they are recorded.
        self._last: dict[int, PublitracError | None] = {}

    async def begin(self, indexes: Sequence[int]) -> None:
        """Record that a call is about to start.

        Raises:
            StateStoreError: the state store failed.
            StoppedElsewhere: another process stopped the run.
        """
        self.flush()
        begun = await self._state.begin([self._keys[index] for index in indexes])
        # The guarantee of `StateStore`: the last call is durably complete before the next one starts.
        if self._completed is not None:
            await asyncio.shield(self._completed)
        if not begun:
            raise StoppedElsewhere
        self._in_flight = indexes

    def end(self, indexes: Sequence[int], errors: Sequence[PublitracError | None]) -> None:
        """Keep the outcomes of a call. Those of the last call are recorded together with the whole batch."""
        self._in_flight = ()
        self._last = dict(zip(indexes, errors, strict=True))

    def flush(self) -> None:
        """Record the outcomes of the last call, before a wait or another call."""
        if self._last:
            known = self._take_last()
            self._completed = self._state.complete([(self._keys[index], known[index]) for index in known])

    def called(self) -> dict[int, Outcome]:
        """Return the outcomes of the rows that were in an ended call, by index."""
        self._take_last()
        return self._outcomes

    def outcomes(self, error: BaseException) -> list[Outcome]:
        """Return the outcomes of all rows if `error` ends the batch.

        The call in flight may have been applied: it was cancelled, or the sink has a bug.
        """
        reason = "the run ended while the call was in flight"
        unknown = Outcome(State.UNKNOWN, type(error).__name__, reason)
        known = self.called() | dict.fromkeys(self._in_flight, unknown)
        return [known.get(index, NOT_CALLED) for index in range(len(self._keys))]

    def _take_last(self) -> dict[int, Outcome]:
        found = {
            index: self._success if error is None else outcome_of(error)
            for index, error in self._last.items()
        }
        self._last = {}
        self._outcomes |= found
        return found
