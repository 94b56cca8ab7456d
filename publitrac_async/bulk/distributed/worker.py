"""Worker: send chunks from a process with an open client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

from publitrac_async.bulk.distributed.chunk import Chunk, rows_hash
from publitrac_async.bulk.distributed.ranges import RangeReader
from publitrac_async.bulk.distributed.references import open_source
from publitrac_async.bulk.errors import SourceUnavailable, StateStoreError
from publitrac_async.bulk.metrics import count_outcomes
from publitrac_async.bulk.planning import MAYBE_SENT
from publitrac_async.bulk.rows import Outcome, StagedRow, State
from publitrac_async.bulk.sending import STOPPED_ELSEWHERE, Sender
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.sinks.base import Sink
from publitrac_async.bulk.sources.named import NamedSources
from publitrac_async.bulk.state.progress import Failure, failures_of
from publitrac_async.bulk.state.shared import ChunkClaim, SharedStateStore
from publitrac_async.bulk.transform import RowTransform
from publitrac_async.errors import PublitracError
from publitrac_async.transport.events import ChunkEnded, ChunkStarted, RunHook
from publitrac_async.transport.reporter import emit

logger: Final = logging.getLogger("publitrac_async.docket")

#: Number of claims of a chunk after which its job is stopped.
_ATTEMPTS: Final = 20
#: Seconds between two polls for another job.
_POLL: Final = 2.0
#: Number of jobs whose source a worker keeps open.
_JOBS: Final = 4


class _HandOverError(Exception):
    """Another worker has to send the rest of the chunk."""


class ChunkWorker:
    """Sends the rows of chunks.

    Args:
        sink: destination of the rows.
        store: state store of the account; it need not be open.
        sources: named sources.
        concurrency: maximum number of calls in flight per chunk.
        shutdown: request to end this process. Other workers finish its chunks.
        hooks: called with the events of chunks.
    """

    def __init__(
        self,
        sink: Sink[Any],
        store: SharedStateStore,
        *,
        sources: NamedSources | None = None,
        concurrency: int,
        shutdown: Shutdown,
        hooks: Sequence[RunHook] = (),
    ) -> None:
        self._sink = sink
        self._store = store
        self._sources = sources
        self._concurrency = concurrency
        self._shutdown = shutdown
        self._hooks = tuple(hooks)
        self._readers: dict[str, RangeReader] = {}
        #: Name of this process in logs and reports.
        self.name: str = f"{socket.gethostname()}#{os.getpid()}-{secrets.token_hex(2)}"
        self._jobs_without_source: set[str] = set()

    def lacks_source(self, job: str) -> bool:
        """Return True if this process could not open the source of a job."""
        return job in self._jobs_without_source

    async def wait_for_another_job(self, job: str) -> None:
        """Wait until a job ends, or a shutdown."""
        while not self._shutdown.requested and await self._store.is_current(job):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await self._shutdown.draining.wait()

    async def execute(self, chunk: Chunk) -> bool:
        """Send the rows of a chunk that have no outcome yet.

        Returns:
            False if another worker has to send the rest, because this process is shut down or cannot open
            the source.

        Raises:
            StateStoreError: the state store does not respond; execute the chunk again.
        """
        claim = await self._store.claim(chunk.job, chunk.number)
        if claim is None:
            return True
        async with claim:
            outcomes: dict[int, Outcome] = {}
            started = time.monotonic()
            stopped = True
            failure: BaseException | None = None
            names: dict[str, Any] = {
                "run_id": secrets.token_hex(4),
                "sink": self._sink.name,
                "job": chunk.job,
                "chunk": chunk.number,
            }
            fields = {"job": chunk.job, "chunk": chunk.number}
            logger.info("chunk %d begins: %d rows", chunk.number, chunk.rows.count, extra=fields)
            emit(self._hooks, ChunkStarted(**names))
            try:
                stopped = await self._execute(chunk, claim, outcomes) is not None
            except _HandOverError:
                return False
            except BaseException as error:
                failure = error
                raise
            finally:
                ended = ChunkEnded(
                    **names,
                    outcomes=count_outcomes(outcomes.values()),
                    elapsed=time.monotonic() - started,
                    stopped=stopped,
                    error=None if failure is None else type(failure).__name__,
                )
                emit(self._hooks, ended)
                _log_end(ended)
            return True

    async def aclose(self) -> None:
        """Close the sources."""
        for reader in self._readers.values():
            await reader.aclose()
        self._readers.clear()

    async def _execute(self, chunk: Chunk, claim: ChunkClaim, outcomes: dict[int, Outcome]) -> str | None:
        """Send the rows and report the end; return the reason for an early one."""
        fields = {"job": chunk.job, "chunk": chunk.number}
        failures: list[Failure] = []
        try:
            stopped = await self._send(chunk, claim, outcomes, failures)
        except StateStoreError as error:
            if error.retryable:
                raise
            logger.warning(
                "chunk %d was left to other workers: %s", chunk.number, error.message, extra=fields
            )
            return error.message
        except SourceUnavailable as error:
            self._jobs_without_source.add(chunk.job)
            logger.warning(
                "%s takes no more chunks of this run and leaves them to other workers: %s",
                self.name,
                error.message,
                extra=fields,
            )
            await self._store.reports.add_source_error(chunk.job, self.name, error.message)
            raise _HandOverError from None
        except PublitracError as error:
            stopped = f"{type(error).__name__}: {error.message}"
        except Exception as error:  # noqa: BLE001  (a chunk that always fails must not be redelivered forever)
            stopped = f"{type(error).__name__} in chunk {chunk.number}: see the logs of the workers"
            # Without the text of the error, which may quote a lead.
            frames = "".join(traceback.format_tb(error.__traceback__))
            kind = type(error).__name__
            logger.error("%s in chunk %d\n%s", kind, chunk.number, frames, extra=fields | {"error": kind})  # noqa: TRY400
        if stopped is not None and self._shutdown.requested:
            raise _HandOverError
        if stopped is not None and stopped != STOPPED_ELSEWHERE:
            await claim.stop(stopped)
        await claim.end(stopped, failures)
        return stopped

    async def _send(
        self, chunk: Chunk, claim: ChunkClaim, outcomes: dict[int, Outcome], failures: list[Failure]
    ) -> str | None:
        """Send the rows; return the reason for an early end, ``None`` at the regular end.

        Args:
            chunk: the chunk.
            claim: claim of the chunk.
            outcomes: receives the outcomes of calls of this worker, by number of the row.
            failures: receives the failed rows of the whole chunk.
        """
        if claim.attempt > _ATTEMPTS:
            return (
                f"chunk {chunk.number} was started {_ATTEMPTS} times and never ended: see the workers' logs"
            )
        if chunk.destination != self._sink.destination:
            return (
                f"a worker sends to {self._sink.destination}, not to {chunk.destination}: check its account"
            )
        transform = RowTransform(
            self._sink.to_record, chunk.mapping, own_columns=getattr(self._sink, "own_columns", None)
        )
        reader = await self._reader(chunk)
        rows = await reader.read(chunk.rows)
        staged = [
            transform.stage(number, row, chunk.opt_outs.get(number, ()))
            for number, row in enumerate(rows, chunk.rows.number)
        ]
        if rows_hash(row.content_hash for row in staged) != chunk.rows_hash:
            return (
                f"rows {staged[0].number} to {staged[-1].number} have changed since the start of the run:"
                " the source was changed, or a worker has other options or another version"
            )
        left = await self._without_outcome(chunk, claim, staged)

        async def pending(after: int) -> Sequence[StagedRow]:
            return [row for row in left if row.number > after]

        sender = Sender(
            note=outcomes.update,
            pending=pending,
            sink=self._sink,
            state=claim,
            error_budget=chunk.error_budget,
            shutdown=self._shutdown,
        )
        stopped = await sender.send(self._concurrency)
        # Before the chunk ends: then the process that started the run reads them.
        if messages := {number: each.message for number, each in outcomes.items() if each.message}:
            await self._store.reports.add_messages(chunk.job, chunk.number, messages)
        if sender.limiter_unavailable:
            # Do not stop the run: a worker sends the rest when Redis responds again.
            raise StateStoreError(stopped or "", retryable=True)
        failures += await self._failures(chunk, claim, staged, outcomes)
        return stopped

    async def _reader(self, chunk: Chunk) -> RangeReader:
        # One per job: the source may have other rows for another job.
        reader = self._readers.pop(chunk.job, None) or RangeReader(open_source(chunk.source, self._sources))
        self._readers[chunk.job] = reader
        while len(self._readers) > _JOBS:
            await self._readers.pop(next(iter(self._readers))).aclose()
        return reader

    async def _failures(
        self,
        chunk: Chunk,
        claim: ChunkClaim,
        staged: Sequence[StagedRow],
        outcomes: Mapping[int, Outcome],
    ) -> list[Failure]:
        """Return the failed rows of a chunk, including those that earlier workers sent."""
        found = [(row.line, outcomes[row.number]) for row in staged if row.number in outcomes]
        if claim.attempt > 1:
            others = [
                row
                for row in staged
                if row.key and row.number not in outcomes and row.number not in chunk.left_out
            ]
            entries = await claim.lookup([row.key or "" for row in others])
            found += [(row.line, entry.outcome) for row, entry in zip(others, entries, strict=True) if entry]
        return failures_of(found)

    async def _without_outcome(
        self, chunk: Chunk, claim: ChunkClaim, staged: Sequence[StagedRow]
    ) -> list[StagedRow]:
        """Return the rows to be sent: those without an outcome of an earlier worker."""
        left_out = frozenset(chunk.left_out)
        wanted = [(row.key, row) for row in staged if row.key is not None and row.number not in left_out]
        entries = await claim.lookup([key for key, _ in wanted])
        left: list[StagedRow] = []
        unknown: list[tuple[str, Outcome]] = []
        for (key, row), entry in zip(wanted, entries, strict=True):
            state = State.PENDING if entry is None else entry.outcome.state
            if state is State.UNKNOWN and not self._sink.idempotent:
                unknown.append((key, MAYBE_SENT))
            elif state in (State.PENDING, State.RETRY, State.UNKNOWN):
                left.append(row)
        if unknown:
            await claim.complete(unknown)
        return left


def _log_end(event: ChunkEnded) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in event.outcomes.items()) or "no row sent"
    logger.info(
        "chunk %d ends%s after %.1f s: %s",
        event.chunk,
        " early" if event.stopped else "",
        event.elapsed,
        counts,
        extra={"job": event.job, "chunk": event.chunk, "error": event.error},
    )
