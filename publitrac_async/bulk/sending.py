"""Send: begin, call, complete, with a bounded number of calls in flight."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from attrs import evolve

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.journal import BatchJournal, StoppedElsewhere
from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.outcomes import SUCCESS, ErrorBudget, is_fatal, outcome_of
from publitrac_async.bulk.rows import Outcome, StagedRow, State
from publitrac_async.bulk.shutdown import Shutdown, cancelled
from publitrac_async.bulk.sinks.base import Sink
from publitrac_async.bulk.state.base import StateWriter
from publitrac_async.config import CONCURRENCY, CONCURRENCY_CEILING, CONCURRENCY_FLOOR
from publitrac_async.errors import LimiterUnavailable, PublitracError

#: Reason for the end of a run that another process stopped.
STOPPED_ELSEWHERE: Final = "stopped by another process"

#: Seconds between two checks of the client's queue, while more calls in flight may be needed.
_GROWTH_INTERVAL: Final = 0.02
#: Length of the client's queue above which fewer calls in flight suffice.
_SPARE: Final = 1

#: Function that returns the next rows to send after a row number; empty at the end.
Pending: TypeAlias = Callable[[int], Awaitable[Sequence[StagedRow]]]
#: Method of a sink, see `Sink`.
SendInParts: TypeAlias = Callable[[Sequence[Any], BatchJournal], Awaitable[Sequence[PublitracError | None]]]
#: Function that receives the outcomes of rows, by number of the row.
Note: TypeAlias = Callable[[Sequence[tuple[int, Outcome]]], object]


class Sender:
    """Sends rows to a sink.

    Args:
        pending: returns the next rows.
        sink: destination of the rows.
        state: records every call, before and after.
        error_budget: limits of failures.
        shutdown: request to end the run.
        note: called with the outcomes of rows.
        metrics: counts outcomes.

    Attributes:
        limiter_unavailable: true if the run ended because the shared limiter was unavailable for too long.
    """

    def __init__(
        self,
        *,
        pending: Pending,
        sink: Sink[Any],
        state: StateWriter,
        error_budget: ErrorBudget,
        shutdown: Shutdown,
        note: Note = lambda _: None,
        metrics: RunMetrics | None = None,
    ) -> None:
        self._pending = pending
        self._sink = sink
        self._state = state
        self._shutdown = shutdown
        self._note = note
        self._metrics = metrics
        self._tracker = error_budget.tracker()
        #: Method of sinks that make several calls per batch.
        self._send_in_parts: SendInParts | None = getattr(sink, "send_in_parts", None)
        self._lock = asyncio.Lock()
        self._page: list[StagedRow] = []
        self._after = 0
        self._exhausted = False
        self._stopped: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: Returns the number of calls in the client's queue; ``None`` for a fixed concurrency.
        self._queue_length: Callable[[], int] | None = None
        self.limiter_unavailable: bool = False

    async def send(self, concurrency: int | None) -> str | None:
        """Send all rows, until the run is stopped.

        Args:
            concurrency: maximum number of calls in flight; ``None`` adapts it to the client's queue.

        Returns:
            The reason why the run ended before its last row, ``None`` at its regular end.

        Raises:
            StateStoreError: the state store failed.
        """
        if concurrency is None:
            self._queue_length = getattr(self._sink, "queue_length", None)
        adapts = self._queue_length is not None
        self._start(CONCURRENCY_FLOOR if adapts else concurrency or CONCURRENCY)
        aborting = asyncio.create_task(self._shutdown.aborting.wait())
        try:
            while self._tasks and not any(_failed(task) for task in self._tasks):
                await asyncio.wait(
                    [*self._tasks, aborting],
                    return_when=asyncio.FIRST_COMPLETED,
                    timeout=_GROWTH_INTERVAL if self._may_grow() else None,
                )
                if aborting.done():
                    break
                self._tasks = {task for task in self._tasks if not task.done() or _failed(task)}
                if self._may_grow() and self._queue_length is not None and not self._queue_length():
                    self._start(1)
        finally:
            await cancelled(aborting, *self._tasks)
        if not aborting.cancelled():
            self._stopped = "interrupted"
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return self._stopped

    def _start(self, count: int) -> None:
        self._tasks |= {asyncio.create_task(self._send_batches()) for _ in range(count)}

    def _may_grow(self) -> bool:
        if self._queue_length is None or self._stopped or len(self._tasks) >= CONCURRENCY_CEILING:
            return False
        return bool(self._page) or not self._exhausted

    def _has_spare(self) -> bool:
        """Return True if this task should end: its calls would only wait, and be unknown after a kill."""
        if self._queue_length is None or len(self._tasks) <= CONCURRENCY_FLOOR:
            return False
        return self._queue_length() > _SPARE

    async def _send_batches(self) -> None:
        last: asyncio.Future[None] | None = None
        while not self._has_spare() and (batch := await self._next_batch()):
            last = await self._call(batch, last)
        if last is not None:
            await asyncio.shield(last)

    async def _next_batch(self) -> list[StagedRow]:
        """Return the next batch; empty at the end of the run.

        All batches except the last are full, because the lock lets one task at a time load a page.
        """
        size = self._sink.batch_size
        if len(self._page) < size:
            async with self._lock:
                while len(self._page) < size and not self._exhausted and not self._is_stopped():
                    await self._load_page()
        if self._is_stopped():
            return []
        batch = self._page[:size]
        del self._page[:size]
        return batch

    async def _load_page(self) -> None:
        page = await self._pending(self._after)
        self._exhausted = not page
        if page:
            self._after = page[-1].number
            self._page += page

    def _is_stopped(self) -> bool:
        if self._shutdown.requested and self._stopped is None:
            self._stopped = "interrupted"
        return self._stopped is not None

    async def _call(
        self, batch: Sequence[StagedRow], last: asyncio.Future[None] | None
    ) -> asyncio.Future[None] | None:
        """Make the calls for one batch.

        Args:
            batch: the rows.
            last: future of this task's last batch, whose outcomes must be durable before the next call.

        Returns:
            The future of this batch: done when its outcomes are durable.
        """
        journal = BatchJournal(self._state, [_key(row) for row in batch], self._sink.success_state, last)
        errors: Sequence[PublitracError | None]
        try:
            errors = await self._make_calls([row.content for row in batch], journal)
        except StateStoreError:
            self._complete_called(batch, journal)
            raise
        except StoppedElsewhere:
            self._stopped = self._stopped or STOPPED_ELSEWHERE
            return self._complete_called(batch, journal) or last
        except PublitracError as error:
            errors = [error] * len(batch)
        except BaseException as error:
            self._complete(batch, journal.outcomes(error))
            raise
        success = SUCCESS[self._sink.success_state]
        outcomes = [success if error is None else outcome_of(error) for error in errors]
        completed = self._complete(batch, outcomes)
        self._tracker.add_call(outcomes)
        self._examine(errors)
        return completed

    async def _make_calls(
        self, contents: Sequence[Any], journal: BatchJournal
    ) -> Sequence[PublitracError | None]:
        if self._send_in_parts is not None:
            return await self._send_in_parts(contents, journal)
        await journal.begin(range(len(contents)))
        results: object = await self._sink.send(contents)
        if not isinstance(results, Sequence) or len(results) != len(contents):
            raise TypeError(f"Sink.send of {self._sink.name} must return one result for each of its records")
        return results

    def _complete_called(
        self, batch: Sequence[StagedRow], journal: BatchJournal
    ) -> asyncio.Future[None] | None:
        """Record the outcomes of the calls that ended before the run had to stop."""
        called = journal.called()
        if not called:
            return None
        return self._complete([batch[index] for index in called], list(called.values()))

    def _complete(self, batch: Sequence[StagedRow], outcomes: Sequence[Outcome]) -> asyncio.Future[None]:
        if self._metrics is not None:
            self._metrics.add(outcomes)
        rows = [(row.number, outcome) for row, outcome in zip(batch, outcomes, strict=True)]
        self._note(rows)
        leads = [(_key(row), outcome) for row, outcome in zip(batch, outcomes, strict=True)]
        completed = self._state.complete(leads)
        completed.add_done_callback(functools.partial(self._check_recorded, rows))
        return completed

    def _check_recorded(self, rows: Sequence[tuple[int, Outcome]], completed: asyncio.Future[None]) -> None:
        """Report rows as unknown if the state store did not record their outcomes."""
        if completed.cancelled() or completed.exception() is not None:
            self._note([(number, evolve(outcome, state=State.UNKNOWN)) for number, outcome in rows])

    def _examine(self, errors: Sequence[PublitracError | None]) -> None:
        for error in filter(None, errors):
            without_limiter = isinstance(error, LimiterUnavailable)
            self.limiter_unavailable |= without_limiter
            if without_limiter or is_fatal(error):
                # Fatal errors concern the account, so the service's message does not quote a lead.
                quoted = f' ("{error.vendor_message}")' if error.vendor_message else ""
                self._stopped = self._stopped or f"{type(error).__name__}: {error.message}{quoted}"
        self._stopped = self._stopped or self._tracker.exceeded


def _key(row: StagedRow) -> str:
    assert row.key is not None
    return row.key


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
