"""The engine of one process: a few workers over one iterator of rows.

What is in flight is bounded, and so is memory.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from publitrac_async.bulk.engines.work import Work
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.outcomes import Spending, judge, stops
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.spool import Pending
from publitrac_async.bulk.stopping import cancelled
from publitrac_async.config import CONCURRENCY
from publitrac_async.errors import ConfigurationError, PublitracError

_NOT_CALLED = Outcome(State.RETRY)


@frozen
class LocalEngine:
    """Sends the rows from this process.

    Attributes:
        workers: calls in flight at once.
    """

    workers: int = CONCURRENCY

    def __attrs_post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigurationError("workers must be at least 1")

    async def send(self, work: Work) -> str | None:
        """Send all rows that are pending, unless the run is stopped before."""
        return await _Sending(work).by(self.workers)


class _Sending:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._spending = Spending(work.budget)
        self._turn = asyncio.Lock()
        self._page: list[Pending] = []
        self._behind = 0
        self._exhausted = False
        self._stopped: str | None = None

    async def by(self, workers: int) -> str | None:
        """Send, with so many calls at once."""
        tasks = [asyncio.create_task(self._send_batches()) for _ in range(workers)]
        watch = asyncio.create_task(self._work.stop.wait(2))
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
        ledger = self._work.ledger
        last: asyncio.Future[None] | None = None
        while batch := await self._next():
            try:
                begin = await ledger.intend([each.key for each in batch])
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
                self._stopped = self._stopped or "stopped by another process"
                break
            last = await self._call(batch)
        if last is not None:
            await asyncio.shield(last)

    async def _next(self) -> list[Pending]:
        """The rows of the next call; none when the run is over."""
        batch: list[Pending] = []
        while len(batch) < self._work.sink.batch_size:
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
                page = await self._work.spool.pending(self._behind)
                self._exhausted = not page
                if page:
                    self._behind = page[-1].number
                    self._page = page[::-1]
            return bool(self._page)

    def _interrupted(self) -> bool:
        if self._work.stop.requested and self._stopped is None:
            self._stopped = "interrupted"
        return self._stopped is not None

    async def _call(self, batch: Sequence[Pending]) -> asyncio.Future[None]:
        sink = self._work.sink
        errors: Sequence[PublitracError | None]
        try:
            errors = await sink.send([each.record for each in batch])
        except PublitracError as error:
            errors = [error] * len(batch)
        except BaseException as error:
            # Cancelled, or an error of the sink's own: nobody knows what has arrived.
            reason = "the run was ended while the call was under way"
            self._settle(batch, [Outcome(State.UNKNOWN, type(error).__name__, reason)] * len(batch))
            raise
        settled = self._settle(batch, [judge(error, sink.acknowledges) for error in errors])
        self._examine(errors)
        return settled

    def _settle(self, batch: Sequence[Pending], outcomes: Sequence[Outcome]) -> asyncio.Future[None]:
        work = self._work
        for outcome in outcomes:
            work.course.settled(outcome)
            self._spending.add(outcome)
        rows = [(each.number, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        work.spool.note(rows)
        settled = work.ledger.settle(
            [(each.key, outcome) for each, outcome in zip(batch, outcomes, strict=True)]
        )
        settled.add_done_callback(functools.partial(self._unrecorded, rows))
        return settled

    def _unrecorded(self, rows: Sequence[tuple[int, Outcome]], settled: asyncio.Future[None]) -> None:
        """When the ledger could not take an outcome, the next run will find it unknown: so it is here."""
        if settled.cancelled() or settled.exception() is not None:
            self._work.spool.note([(number, evolve(each, state=State.UNKNOWN)) for number, each in rows])

    def _examine(self, errors: Sequence[PublitracError | None]) -> None:
        for error in errors:
            if error is not None and stops(error):
                self._stopped = self._stopped or f"{type(error).__name__}: {error.message}"
        self._stopped = self._stopped or self._spending.exceeded


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
