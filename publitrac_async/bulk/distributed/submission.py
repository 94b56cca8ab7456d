"""Submit a run to workers: queue its chunks, wait for their end, copy the outcomes."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Final, Protocol

from attrs import evolve

from publitrac_async.bulk.distributed.chunk import Chunk, rows_hash
from publitrac_async.bulk.distributed.ranges import RowRange
from publitrac_async.bulk.distributed.references import reference_of
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.executor import RunContext
from publitrac_async.bulk.rows import Outcome, StagedRow, State
from publitrac_async.bulk.shutdown import cancelled
from publitrac_async.bulk.state.progress import Failure, failures_of
from publitrac_async.bulk.state.shared import SharedStateStore

logger: Final = logging.getLogger("publitrac_async.docket")

#: Seconds between two polls of the results of chunks.
_POLL: Final = 0.25
#: Polls without a claimed chunk after which all chunks are queued again, which is idempotent.
_IDLE_POLLS: Final = 120
#: Seconds between two polls for workers that cannot open the source.
_SOURCE_POLL: Final = 2.0
#: Seconds between two copies of outcomes from claimed chunks, and the most chunks to copy from at a time.
_COPY_INTERVAL: Final = 2.0
_COPIED_CHUNKS: Final = 8
#: Outcomes that another call does not change.
_CERTAIN: Final = (State.OK, State.ACCEPTED, State.REJECTED)


class Queue(Protocol):
    """The queue of chunks. Its methods raise `StateStoreError` if it does not respond."""

    async def add(self, chunks: Sequence[Chunk]) -> None:
        """Queue chunks. A chunk that is already queued is not queued twice."""
        ...

    async def workers(self) -> Mapping[str, dt.datetime]:
        """Return the workers by name, with the time of their last sign of life."""
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
        #: True after any worker claimed a chunk. A Redis that lost its data shows no claims before it fails.
        self._has_claims = False
        self._next_source_poll = self._next_copy = 0.0

    async def execute(self) -> str | None:
        """Send all pending rows by workers; see `Executor.execute`."""
        self._open = {number async for number in self._chunks()}
        counts = await self._run.staging.counts()
        await self._store.note_rows(counts[State.PENDING], await self._rejected())
        draining = asyncio.create_task(self._run.shutdown.draining.wait())
        aborting = asyncio.create_task(self._run.shutdown.aborting.wait())
        stopped: str | None = None
        failure: StateStoreError | None = None
        try:
            stopped = await self._watch(draining, aborting)
        except StateStoreError as error:
            if not self._has_claims:
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
        # Results of a run that this one joins: its failures do not count against this error budget.
        earlier = len(await self._store.results(0))
        idle = _IDLE_POLLS
        warned = False
        while True:
            if idle >= _IDLE_POLLS:
                # Also in the middle of a run: a stalled worker may have lost a chunk.
                await self._queue_chunks(sorted(self._open))
                idle = 0
            results = await self._store.results(known)
            for index, result in enumerate(results, known):
                await self._close_chunk(result.number, counts=index >= earlier)
            known += len(results)
            stopped = self._tracker.exceeded or ("interrupted" if draining.done() else None)
            if stopped is not None:
                await self._store.stop(stopped)
            stopped = await self._store.stopped()
            if not self._open:
                return stopped
            claimed = await self._store.claimed()
            self._has_claims = self._has_claims or bool(claimed)
            if stopped is not None and (aborting.done() or not claimed):
                for number in sorted(self._open):
                    await self._close_chunk(number)
                return stopped
            idle = 0 if results or claimed else idle + 1
            if claimed:
                await self._copy_from_claimed(claimed)
            else:
                await self._stop_without_source()
            if idle >= _IDLE_POLLS and not warned:
                warned = True
                logger.warning("no worker is consuming this run: start some", extra={"job": self._store.job})
            await asyncio.wait([aborting], timeout=_POLL)

    async def _copy_from_claimed(self, claimed: Iterable[int]) -> None:
        """Copy outcomes from claimed chunks, for the progress, and in case Redis loses its data."""
        if time.monotonic() < self._next_copy:
            return
        self._next_copy = time.monotonic() + _COPY_INTERVAL
        for number in sorted(self._open.intersection(claimed))[:_COPIED_CHUNKS]:
            await self._copy_outcomes(number, certain=True)

    async def _stop_without_source(self) -> None:
        """Stop the run if no worker can open the source; each worker logs its reason."""
        if time.monotonic() < self._next_source_poll:
            return
        self._next_source_poll = time.monotonic() + _SOURCE_POLL
        if not (errors := await self._store.reports.source_errors(self._store.job or "")):
            return
        workers = (await self._queue.workers()).keys()
        if workers and not workers - errors.keys():
            await self._store.stop(f"no worker can open the source: {next(iter(errors.values()))}")

    async def _rejected(self) -> list[Failure]:
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

    async def _queue_chunks(self, numbers: Sequence[int]) -> None:
        """Queue chunks. A chunk that is already queued is not queued twice."""
        for start in range(0, len(numbers), 500):
            chunks = [await self._chunk(number) for number in numbers[start : start + 500]]
            try:
                await self._queue.add(chunks)
            except StateStoreError:
                # The state store waits until Redis has restarted; the queue does not.
                await self._store.claimed()
                await self._queue.add(chunks)

    async def _chunk(self, number: int) -> Chunk:
        run, rows = self._run, await self._rows(number)
        first = rows[0]
        return Chunk(
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

    async def _close_chunk(self, number: int, *, counts: bool = True) -> None:
        """Copy the outcomes of an ended chunk.

        Args:
            number: number of the chunk.
            counts: count its failures against the error budget.
        """
        if number in self._open:
            self._open.discard(number)
            await self._copy_outcomes(number, counts=counts)

    async def _copy_outcomes(self, number: int, *, counts: bool = True, certain: bool = False) -> None:
        """Copy outcomes from the state store to staging; with `certain` only those that cannot change."""
        of_chunk = await self._rows(number)
        rows = [row for row in of_chunk if row.outcome.state is State.PENDING]
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
            await self._copy_messages(number, {row.number: row.outcome for row in of_chunk} | dict(called))

    async def _copy_messages(self, number: int, outcomes: Mapping[int, Outcome]) -> None:
        """Copy the service's messages about failed rows, which only their worker has received."""
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
    # The state store reports a row as pending before its first call, and also after a failed call.
    return None if outcome.kind is None else evolve(outcome, state=State.RETRY)
