"""The engine of one process: a few workers over one iterator of rows.

What is in flight is bounded, and so is memory.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any, Final, Protocol

from attrs import evolve, field, frozen

from publitrac_async.bulk.engines.work import Work
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Journal, Outcome
from publitrac_async.bulk.outcomes import ErrorBudget, Spending, judge, stops
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks import Sink
from publitrac_async.bulk.spool import Pending
from publitrac_async.bulk.stopping import Stop, cancelled
from publitrac_async.config import CONCURRENCY
from publitrac_async.errors import ConfigurationError, PublitracError

#: Why rows were not sent when the journal let no more calls begin.
ELSEWHERE: Final = "stopped by another process"

_NOT_CALLED: Final = Outcome(State.RETRY)


@frozen
class LocalEngine:
    """Sends the rows from this process.

    Attributes:
        workers: calls in flight at once.
    """

    workers: int = CONCURRENCY
    chunk_rows: None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigurationError("workers must be at least 1")

    def check(self, work: Work) -> None:
        """It can do any work."""

    async def send(self, work: Work) -> str | None:
        """Send all rows that are pending, unless the run is stopped before."""
        sending = Sending(
            rows=work.spool,
            sink=work.sink,
            journal=work.ledger,
            budget=work.budget,
            course=work.course,
            stop=work.stop,
        )
        try:
            return await sending.by(self.workers)
        finally:
            # The ledger may be elsewhere, and know already what the spool is still about to write.
            await work.spool.note([])


class Rows(Protocol):
    """Rows that are to be sent."""

    async def pending(self, after: int) -> Sequence[Pending]:
        """The next ones behind number `after`; none when there are no more."""
        ...

    def note(self, rows: Sequence[tuple[int, Outcome]]) -> object:
        """Note what became of rows."""
        ...


class Sending:
    """Brings rows to a sink.

    Args:
        rows: which.
        sink: where they go.
        journal: is told of every call, before and after.
        budget: how much may fail.
        course: told what happens.
        stop: how the run is asked to end.
    """

    def __init__(
        self,
        *,
        rows: Rows,
        sink: Sink[Any],
        journal: Journal,
        budget: ErrorBudget,
        course: Course,
        stop: Stop,
    ) -> None:
        self._rows = rows
        self._sink = sink
        self._journal = journal
        self._course = course
        self._stop = stop
        self._spending = Spending(budget)
        self._turn = asyncio.Lock()
        self._page: list[Pending] = []
        self._behind = 0
        self._exhausted = False
        self._stopped: str | None = None

    async def by(self, workers: int) -> str | None:
        """Send all rows, unless the run is stopped before.

        Args:
            workers: calls in flight at once.

        Returns:
            Why it ended before the last row, ``None`` if it did not.

        Raises:
            LedgerError: the journal failed.
        """
        tasks = [asyncio.create_task(self._send_batches()) for _ in range(workers)]
        watch = asyncio.create_task(self._stop.wait(2))
        try:
            while running := [task for task in tasks if not task.done()]:
                await asyncio.wait([*running, watch], return_when=asyncio.FIRST_COMPLETED)
                if watch.done() or any(_failed(task) for task in tasks):
                    break
        finally:
            await cancelled(watch, *tasks)
        if not watch.cancelled():
            self._stopped = "interrupted"
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        return self._stopped

    async def _send_batches(self) -> None:
        last: asyncio.Future[None] | None = None
        while batch := await self._next():
            try:
                begin = await self._journal.intend([each.key for each in batch])
                # What is known of the last call is durable before the next begins: a kill leaves no more
                # rows in doubt than there are workers.
                if last is not None:
                    await asyncio.shield(last)
            except LedgerError:
                raise
            except BaseException:
                # The intent may be written, the call was not made.
                self._settle(batch, [_NOT_CALLED] * len(batch))
                raise
            if not begin:
                self._stopped = self._stopped or ELSEWHERE
                break
            last = await self._call(batch)
        if last is not None:
            await asyncio.shield(last)

    async def _next(self) -> list[Pending]:
        """The rows of the next call; none when the run is over."""
        batch: list[Pending] = []
        while len(batch) < self._sink.batch_size:
            if self._interrupted():
                return []
            if not self._page and not await self._turn_page():
                break
            batch.append(self._page.pop())
        return batch

    async def _turn_page(self) -> bool:
        """Whether there are more rows."""
        async with self._turn:
            if not self._page and not self._exhausted:
                page = await self._rows.pending(self._behind)
                self._exhausted = not page
                if page:
                    self._behind = page[-1].number
                    self._page = [*reversed(page)]
            return bool(self._page)

    def _interrupted(self) -> bool:
        if self._stop.requested and self._stopped is None:
            self._stopped = "interrupted"
        return self._stopped is not None

    async def _call(self, batch: Sequence[Pending]) -> asyncio.Future[None]:
        errors: Sequence[PublitracError | None]
        try:
            errors = await self._sink.send([each.record for each in batch])
        except PublitracError as error:
            errors = [error] * len(batch)
        except BaseException as error:
            # Cancelled, or an error of the sink's own: nobody knows what has arrived.
            reason = "the run was ended while the call was under way"
            self._settle(batch, [Outcome(State.UNKNOWN, type(error).__name__, reason)] * len(batch))
            raise
        settled = self._settle(batch, [judge(error, self._sink.acknowledges) for error in errors])
        self._examine(errors)
        return settled

    def _settle(self, batch: Sequence[Pending], outcomes: Sequence[Outcome]) -> asyncio.Future[None]:
        for outcome in outcomes:
            self._course.settled(outcome)
            self._spending.add(outcome)
        rows = [(each.number, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        self._rows.note(rows)
        settled = self._journal.settle(
            [(each.key, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        )
        settled.add_done_callback(functools.partial(self._unrecorded, rows))
        return settled

    def _unrecorded(self, rows: Sequence[tuple[int, Outcome]], settled: asyncio.Future[None]) -> None:
        """When the ledger could not take an outcome, the next run will find it unknown: so it is here."""
        if settled.cancelled() or settled.exception() is not None:
            self._rows.note([(number, evolve(each, state=State.UNKNOWN)) for number, each in rows])

    def _examine(self, errors: Sequence[PublitracError | None]) -> None:
        for error in errors:
            if error is not None and stops(error):
                self._stopped = self._stopped or f"{type(error).__name__}: {error.message}"
        self._stopped = self._stopped or self._spending.exceeded


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
