"""Submit a run to workers: queue its chunks, watch them, copy their outcomes."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final, Protocol

from attrs import evolve

from publitrac_async.bulk.distributed.ranges import RowRange
from publitrac_async.bulk.distributed.references import reference_of
from publitrac_async.bulk.distributed.tasks import ChunkTask, rows_hash
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.executor import RunContext
from publitrac_async.bulk.rows import Outcome, StagedRow, State
from publitrac_async.bulk.shutdown import cancelled
from publitrac_async.bulk.state.progress import Failure, failures_of
from publitrac_async.bulk.state.shared import SharedStateStore

logger: Final = logging.getLogger("publitrac_async.docket")

#: Seconds between two polls of the results of chunks.
_POLL: Final = 0.25
#: Polls without a running chunk after which tasks are queued again, which is idempotent.
_IDLE_POLLS: Final = 120
#: Seconds between two looks for workers that cannot open the source.
_UNABLE_POLL: Final = 2.0
#: Seconds between two looks at the outcomes in running chunks, and number of chunks of a look.
_LOOK: Final = 2.0
_LOOKED_AT: Final = 8
#: Outcomes that another call does not change.
_CERTAIN: Final = (State.OK, State.ACCEPTED, State.REJECTED)


class Queue(Protocol):
    """The queue of chunk tasks. Its methods raise `StateStoreError` if it does not respond."""

    async def add(self, tasks: Sequence[ChunkTask]) -> None:
        """Queue tasks. A task that is queued already is not queued twice."""
        ...

    async def workers(self) -> Mapping[str, dt.datetime]:
        """Return the names of the workers, and when each was seen last."""
        ...


class Submission:
    """Queues the chunks of a run, and copies their outcomes.

    Args:
        run: the run.
        store: its state store, open.
        queue: queue of its workers.
        chunk_rows: rows per chunk.
    """

    def __init__(self, run: RunContext, store: SharedStateStore, queue: Queue, chunk_rows: int) -> None:
        self._run = run
        self._store = store
        self._queue = queue
        self._chunk_rows = chunk_rows
        self._tracker = run.error_budget.tracker()
        self._open: set[int] = set()
        self._claimed: frozenset[int] = frozenset()
        self._unable_at = self._look_at = 0.0

    async def carry_out(self) -> str | None:
        """Return the reason why the run ended before its last row, ``None`` at its regular end."""
        self._open = {number async for number in self._chunks()}
        counts = await self._run.staging.counts()
        await self._store.note_rows(counts[State.PENDING], await self._refused())
        draining = asyncio.create_task(self._run.shutdown.draining.wait())
        aborting = asyncio.create_task(self._run.shutdown.aborting.wait())
        stopped: str | None = None
        failure: StateStoreError | None = None
        try:
            stopped = await self._watch(draining, aborting)
        except StateStoreError as error:
            if not self._claimed:
                raise
            failure = StateStoreError(
                f"{error.message}; rows that workers sent in the last seconds count as pending",
                retryable=error.retryable,
            )
        finally:
            await cancelled(draining, aborting)
        if failure is not None:
            raise failure
        if stopped is None:
            await self._store.finish()
        return stopped

    async def _watch(self, draining: asyncio.Task[Any], aborting: asyncio.Task[Any]) -> str | None:
        known = 0
        # The run that this one joins has had these results; what failed there does not count here.
        earlier = len(await self._store.results(0))
        idle = _IDLE_POLLS
        warned = False
        while True:
            if idle >= _IDLE_POLLS:
                # Also in the middle of a run: a stalled worker may have lost a task.
                await self._hand_out(sorted(self._open))
                idle = 0
            results = await self._store.results(known)
            for index, chunk in enumerate(results, known):
                await self._take_over(chunk.number, counts=index >= earlier)
            known += len(results)
            stopped = self._tracker.exceeded or ("interrupted" if draining.done() else None)
            if stopped is not None:
                await self._store.stop(stopped)
            stopped = await self._store.stopped()
            if not self._open:
                return stopped
            self._claimed = running = await self._store.claimed()
            if stopped is not None and (aborting.done() or not running):
                for number in sorted(self._open):
                    await self._take_over(number)
                return stopped
            idle = 0 if results or running else idle + 1
            if running:
                await self._look(running)
            else:
                await self._stop_if_none_is_able()
            if idle >= _IDLE_POLLS and not warned:
                warned = True
                logger.warning("no worker is consuming this run: start some", extra={"job": self._store.job})
            await asyncio.wait([aborting], timeout=_POLL)

    async def _look(self, running: Iterable[int]) -> None:
        """Take over outcomes in running chunks, for the progress, and in case Redis loses its data."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK
        for number in sorted(self._open.intersection(running))[:_LOOKED_AT]:
            await self._copy_outcomes(number, certain=True)

    async def _stop_if_none_is_able(self) -> None:
        """Stop the run if no worker can open the source; the logs of the workers have the reasons of each."""
        if time.monotonic() < self._unable_at:
            return
        self._unable_at = time.monotonic() + _UNABLE_POLL
        if not (unable := await self._store.reports.unable(self._store.job or "")):
            return
        workers = (await self._queue.workers()).keys()
        if workers and not workers - unable.keys():
            await self._store.stop(f"no worker can open the source: {next(iter(unable.values()))}")

    async def _refused(self) -> list[Failure]:
        """Return the rows that were rejected before the first call."""
        pages = self._run.staging.in_states(State.REJECTED)
        return failures_of([(row.line, row.outcome) async for page in pages for row in page])

    async def _chunks(self) -> AsyncIterator[int]:
        """Iterate over the numbers of chunks with a pending row."""
        for number in count():
            rows = await self._rows(number)
            if not rows:
                return
            if any(row.outcome.state is State.PENDING for row in rows):
                yield number

    async def _rows(self, number: int) -> list[StagedRow]:
        first = number * self._chunk_rows + 1
        return await self._run.staging.between(first, first + self._chunk_rows - 1)

    async def _hand_out(self, numbers: Sequence[int]) -> None:
        """Queue the tasks of chunks. A task that is queued already is not queued twice."""
        for start in range(0, len(numbers), 500):
            tasks = [await self._task(number) for number in numbers[start : start + 500]]
            try:
                await self._queue.add(tasks)
            except StateStoreError:
                # The state store waits for a Redis that restarts, the queue does not.
                await self._store.claimed()
                await self._queue.add(tasks)

    async def _task(self, number: int) -> ChunkTask:
        run, rows = self._run, await self._rows(number)
        first = rows[0]
        return ChunkTask(
            job=self._store.job or "",
            number=number,
            source=reference_of(run.source),
            rows=RowRange(number=first.number, line=first.line, position=first.position, count=len(rows)),
            left_out=tuple(row.number for row in rows if row.outcome.state is not State.PENDING),
            rows_hash=rows_hash(row.content_hash for row in rows),
            destination=run.sink.destination,
            mapping=run.transform.mapping,
            opt_outs={row.number: row.opt_outs for row in rows if row.opt_outs},
            error_budget=run.error_budget,
        )

    async def _take_over(self, number: int, *, counts: bool = True) -> None:
        """Copy the outcomes of an ended chunk.

        Args:
            number: number of the chunk.
            counts: count its failures against the error budget.
        """
        if number in self._open:
            self._open.discard(number)
            await self._copy_outcomes(number, counts=counts)

    async def _copy_outcomes(self, number: int, *, counts: bool = True, certain: bool = False) -> None:
        """Copy outcomes from the state store to staging; with `certain` only those that remain."""
        chunk = await self._rows(number)
        rows = [row for row in chunk if row.outcome.state is State.PENDING]
        entries = await self._store.lookup([row.key or "" for row in rows])
        called: list[tuple[int, Outcome]] = []
        for row, entry in zip(rows, entries, strict=True):
            outcome = None if entry is None else _last_outcome(entry.outcome)
            if outcome is not None and (not certain or outcome.state in _CERTAIN):
                called.append((row.number, outcome))
        # Workers send the rows of a chunk in order, `batch_size` per call.
        size = self._run.sink.batch_size
        for start in range(0, len(called), size):
            outcomes = [outcome for _, outcome in called[start : start + size]]
            self._run.metrics.add(outcomes)
            if counts:
                self._tracker.add_call(outcomes)
        self._run.staging.set_outcomes(called)
        if not certain:
            await self._copy_messages(number, {row.number: row.outcome for row in chunk} | dict(called))

    async def _copy_messages(self, number: int, outcomes: Mapping[int, Outcome]) -> None:
        """Copy the messages of the service about failed rows, which only their worker has seen."""
        failed = {row: outcome for row, outcome in outcomes.items() if outcome.kind is not None}
        if not failed:
            return
        messages = await self._store.reports.messages(self._store.job or "", number)
        self._run.staging.set_outcomes(
            [
                (row, evolve(failed[row], message=message))
                for row, message in messages.items()
                if row in failed
            ]
        )


def _last_outcome(outcome: Outcome) -> Outcome | None:
    """Return the outcome of the last call of a row, ``None`` if there was no call."""
    if outcome.state is not State.PENDING:
        return outcome
    # The state store reports a row as pending both before its first call and after a failed one.
    return None if outcome.kind is None else evolve(outcome, state=State.RETRY)
