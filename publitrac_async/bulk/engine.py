"""The engine: a few workers over one iterator of rows. What is in flight is bounded, and so is memory."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, Final

from attrs import evolve

from publitrac_async.bulk.database import Database
from publitrac_async.bulk.ledger import Outcome, intent, settlement
from publitrac_async.bulk.outcomes import ErrorBudget, Spending, code_of, judge, stops
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.rows import Item, Row, State, as_row
from publitrac_async.bulk.sinks import Sink
from publitrac_async.bulk.spool import Spool, Staged, row_settlement
from publitrac_async.errors import PublitracError, ValidationError

#: Rows looked at before the event loop gets its turn: some milliseconds.
_PORTION: Final = 100
_STAGED_AT_ONCE: Final = 500


class Stop:
    """How a run is asked to end: the first request lets it drain, the second cancels what is in flight.

    Hand one to `sync_leads` and call `request` from a signal handler of the event loop.
    """

    def __init__(self) -> None:
        self._requests = (asyncio.Event(), asyncio.Event())

    def request(self) -> None:
        """Ask, or ask once more."""
        first, second = self._requests
        (second if first.is_set() else first).set()

    @property
    def requested(self) -> bool:
        """Whether the run was asked to end."""
        return self._requests[0].is_set()

    async def wait(self, requests: int) -> None:
        """Wait for the first or second request."""
        await self._requests[requests - 1].wait()


class Engine:
    """Brings the rows of one run from a source to a sink.

    Args:
        sink: where the rows go.
        prepare: makes rows into its records.
        database: where spool and ledger live.
        workers: calls in flight at once.
        budget: how much may fail.
        course: told what happens.
        stop: how the run is asked to end.
    """

    def __init__(
        self,
        sink: Sink[Any],
        prepare: Preparer,
        database: Database,
        *,
        workers: int,
        budget: ErrorBudget,
        course: Course,
        stop: Stop,
    ) -> None:
        self._prepare = prepare
        self._sink = sink
        self._database = database
        self._spool = Spool(database)
        self._workers = workers
        self._spending = Spending(budget)
        self._course = course
        self._stop = stop
        self._turn = asyncio.Lock()
        self._page: list[Staged] = []
        self._behind = 0
        #: Why the run ends before its last row.
        self.stopped: str | None = None

    async def read(self, source: Iterable[Item] | AsyncIterable[Item]) -> int:
        """Take all rows of `source` into the spool.

        Returns:
            How many there are.

        Raises:
            SourceError: the source cannot be read to its end.
        """
        number = 0
        staged: list[Staged] = []
        items = source if isinstance(source, AsyncIterable) else _turns(source)
        async for item in items:
            number += 1
            row = as_row(item, number)
            if number == 1:
                self._prepare.check_columns(source, row)
            staged.append(self._stage(number, row))
            if len(staged) >= _STAGED_AT_ONCE:
                await self._spool.stage(staged)
                self._course.advance(len(staged))
                staged = []
                if self._interrupted():
                    return number
        await self._spool.stage(staged)
        self._course.advance(len(staged))
        return number

    def check_reading(self, rejected: int, rows: int) -> None:
        """Stop before the first call if too many rows were rejected on reading: the mapping is wrong."""
        budget = self._spending.budget
        if rejected > budget.failures and rejected > budget.share * rows:
            self.stopped = f"{rejected} of {rows} rows cannot be sent, more than the error budget allows"

    async def send(self) -> None:
        """Send all rows that are pending, unless the run is stopped before.

        Raises:
            BulkError: the ledger failed.
        """
        workers = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        watch = asyncio.create_task(self._stop.wait(2))
        try:
            while running := [task for task in workers if not task.done()]:
                await asyncio.wait([*running, watch], return_when=asyncio.FIRST_COMPLETED)
                if watch.done() or any(_failed(task) for task in workers):
                    break
        finally:
            await cancelled(watch, *workers)
        if not watch.cancelled():
            self.stopped = "interrupted"
        for task in workers:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _stage(self, number: int, row: Row) -> Staged:
        if row.problem is not None:
            return Staged(number, row, outcome=Outcome(State.REJECTED, "unreadable row", row.problem))
        try:
            prepared = self._prepare(row.fields)
        except ValidationError as error:
            outcome = Outcome(State.REJECTED, "ValidationError", error.message, code_of(error))
            return Staged(number, row, outcome=outcome)
        return Staged(number, row, prepared.key, prepared.payload)

    async def _work(self) -> None:
        while batch := await self._next():
            await self._send(batch)

    async def _next(self) -> list[Staged]:
        """The rows of the next call; none when the run is over."""
        async with self._turn:
            batch: list[Staged] = []
            while len(batch) < self._sink.batch_size:
                if self._interrupted():
                    return []
                if not self._page:
                    self._page = (await self._spool.pending(self._behind))[::-1]
                    if not self._page:
                        break
                    self._behind = self._page[0].number
                batch.append(self._page.pop())
            return batch

    def _interrupted(self) -> bool:
        if self._stop.requested and self.stopped is None:
            self.stopped = "interrupted"
        return self.stopped is not None

    async def _send(self, batch: Sequence[Staged]) -> None:
        keys = [(each.key or "", each.payload or b"") for each in batch]
        try:
            await self._database.write(intent(keys))
        except asyncio.CancelledError:
            # The intent may be written, the call was not made.
            self._post(batch, [Outcome(State.RETRY)] * len(batch))
            raise
        errors: Sequence[PublitracError | None]
        try:
            records = [self._prepare(each.row.fields).record for each in batch]
            errors = await self._sink.send(records)
        except PublitracError as error:
            errors = [error] * len(batch)
        except BaseException as error:
            # Cancelled, or an error of the sink's own: nobody knows what has arrived.
            reason = "the run was ended while the call was under way"
            self._post(batch, [Outcome(State.UNKNOWN, type(error).__name__, reason)] * len(batch))
            raise
        outcomes = [judge(error, self._sink.acknowledges) for error in errors]
        await asyncio.shield(self._post(batch, outcomes))
        self._examine(errors)

    def _post(self, batch: Sequence[Staged], outcomes: Sequence[Outcome]) -> asyncio.Future[None]:
        for outcome in outcomes:
            self._course.settled(outcome)
            self._spending.add(outcome)
        rows = [(each.number, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        keys = [(each.key or "", outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        future = self._database.post(settlement(keys), row_settlement(rows))
        future.add_done_callback(functools.partial(self._unrecorded, rows))
        return future

    def _unrecorded(self, rows: Sequence[tuple[int, Outcome]], future: asyncio.Future[None]) -> None:
        """When the ledger could not take an outcome, the next run will find it unknown: so it is here."""
        if not future.cancelled() and future.exception() is not None:
            lost = [(number, evolve(each, state=State.UNKNOWN)) for number, each in rows]
            self._database.post(row_settlement(lost))

    def _examine(self, errors: Sequence[PublitracError | None]) -> None:
        for error in errors:
            if error is not None and stops(error):
                self.stopped = self.stopped or f"{type(error).__name__}: {error.message}"
        self.stopped = self.stopped or self._spending.exceeded


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that still run, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _turns(source: Iterable[Item]) -> AsyncIterator[Item]:
    """The items of `source`; the event loop gets its turn in between."""
    for number, item in enumerate(source, 1):
        yield item
        if number % _PORTION == 0:
            await asyncio.sleep(0)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
