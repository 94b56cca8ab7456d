"""Rows by reference: what a chunk of a run looks like on its way to a worker, and how the worker sends it.

Neither personal data nor credentials travel. The worker reads the rows from the same source, and a digest
tells whether they are the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import traceback
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final

import attrs
from attrs import frozen

from publitrac_async.bulk.engines.local import ELSEWHERE, Sending
from publitrac_async.bulk.engines.shared import HeldChunk, SharedLedger
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import MAYBE_SENT
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.reading import stage
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks import Sink
from publitrac_async.bulk.sources import Chunk, ChunkReader, open_source
from publitrac_async.bulk.sources.reference import NamedSources
from publitrac_async.bulk.spool import Pending, Staged
from publitrac_async.bulk.stopping import Stop
from publitrac_async.converters import custom_to_wire
from publitrac_async.errors import PublitracError

logger: Final = logging.getLogger("publitrac_async.docket")

#: Workers that a chunk may bring down, or that may lose it, before it is given up.
_ATTEMPTS: Final = 20
#: Jobs of which a worker keeps the place where it was reading.
_JOBS: Final = 4


@frozen(kw_only=True)
class ChunkOrder:
    """What a worker has to do. All of it can be written as JSON.

    Attributes:
        job: id.
        number: of the chunk, from 0.
        source: reference to the source.
        chunk: the rows' place in it.
        left_out: numbers of rows that need no call.
        digest: of all rows of the chunk as they would be sent.
        destination: what they are sent to.
        mapping: which column is which field.
        budget: how much may fail.
    """

    job: str
    number: int
    source: dict[str, Any]
    chunk: Chunk
    left_out: tuple[int, ...]
    digest: str
    destination: str
    mapping: ColumnMapping | None
    budget: ErrorBudget

    def to_json(self) -> str:
        """As text. Dates in a mapping become text as well, which means the same to a lead."""
        return json.dumps(attrs.asdict(self), default=_text)

    @classmethod
    def from_json(cls, text: str) -> ChunkOrder:
        """From text."""
        content = json.loads(text)
        mapping = content["mapping"]
        return cls(
            **content
            | {
                "chunk": Chunk(**content["chunk"]),
                "left_out": tuple(content["left_out"]),
                "mapping": None if mapping is None else ColumnMapping(**mapping),
                "budget": ErrorBudget(**content["budget"]),
            }
        )


def _text(value: object) -> str | None:
    return custom_to_wire(value) if isinstance(value, dt.date) else str(value)


def digest_of(payloads: Iterable[bytes | None]) -> str:
    """Stands for rows as they would be sent; ``None`` for those that cannot be."""
    digest = blake2b(digest_size=16)
    for payload in payloads:
        digest.update(payload or b"\0" * 16)
    return digest.hexdigest()


class ChunkWorker:
    """Carries out orders, in a process that has an open client.

    Args:
        sink: where the rows go.
        ledger: of the account; it need not be open.
        sources: those that are known by name.
        workers: calls of a chunk in flight at once.
        stop: how this process is asked to end. Chunks it has begun are left to others.
    """

    def __init__(
        self,
        sink: Sink[Any],
        ledger: SharedLedger,
        *,
        sources: NamedSources | None = None,
        workers: int,
        stop: Stop,
    ) -> None:
        self._sink = sink
        self._ledger = ledger
        self._sources = sources
        self._workers = workers
        self._stop = stop
        self._readers: dict[str, ChunkReader] = {}

    async def carry_out(self, order: ChunkOrder) -> None:
        """Send the rows of a chunk that have no outcome yet.

        Raises:
            LedgerError: the ledger does not answer; somebody has to carry out the chunk again.
            CancelledError: this process was asked to end; somebody else has to carry out the chunk.
        """
        held = await self._ledger.take(order.job, order.number)
        if held is None:
            return
        async with held:
            try:
                stopped = await self._send(order, held)
            except LedgerError as error:
                if error.retryable:
                    raise
                logger.warning("chunk %d was left to others: %s", order.number, error.message)
                return
            except PublitracError as error:
                stopped = f"{type(error).__name__}: {error.message}"
            except Exception as error:  # noqa: BLE001  (a chunk that always fails must not come back for ever)
                stopped = f"{type(error).__name__} in chunk {order.number}: see the logs of the workers"
                # Without the text of the error, which may quote a lead.
                place = "".join(traceback.format_tb(error.__traceback__))
                logger.error("%s in chunk %d\n%s", type(error).__name__, order.number, place)  # noqa: TRY400
            if stopped is not None and self._stop.requested:
                raise asyncio.CancelledError
            if stopped is not None and stopped != ELSEWHERE:
                await held.stop(stopped)
            await held.end(stopped)

    async def aclose(self) -> None:
        """Leave the sources."""
        for reader in self._readers.values():
            await reader.aclose()
        self._readers.clear()

    async def _send(self, order: ChunkOrder, held: HeldChunk) -> str | None:
        """Why it ended before its last row, ``None`` if it did not."""
        if held.attempt > _ATTEMPTS:
            return f"chunk {order.number} was begun {_ATTEMPTS} times and never done: see the workers' logs"
        if order.destination != self._sink.destination:
            return f"a worker sends to {self._sink.destination}, not to {order.destination}"
        prepare = Preparer(self._sink.prepare, order.mapping)
        reader = await self._reader(order)
        rows = await reader.read(order.chunk)
        staged = [stage(number, row, prepare) for number, row in enumerate(rows, order.chunk.number)]
        if digest_of(each.payload for each in staged) != order.digest:
            return (
                f"rows {staged[0].number} to {staged[-1].number} are not what they were when the run began:"
                " the source was changed, or a worker is of another version"
            )
        sending = Sending(
            rows=await self._left(order, held, staged),
            sink=self._sink,
            journal=held,
            budget=order.budget,
            course=Course(),
            stop=self._stop,
        )
        return await sending.by(self._workers)

    async def _reader(self, order: ChunkOrder) -> ChunkReader:
        # One for each job: the next may find other rows in the same place.
        reader = self._readers.pop(order.job, None) or ChunkReader(open_source(order.source, self._sources))
        self._readers[order.job] = reader
        while len(self._readers) > _JOBS:
            await self._readers.pop(next(iter(self._readers))).aclose()
        return reader

    async def _left(self, order: ChunkOrder, held: HeldChunk, staged: Sequence[Staged]) -> _ChunkRows:
        """The rows without an outcome. A worker before this one may have been killed in their midst."""
        left_out = frozenset(order.left_out)
        wanted = [each for each in staged if each.key is not None and each.number not in left_out]
        entries = await held.recall([each.key or "" for each in wanted])
        left = []
        doubtful = []
        for each, entry in zip(wanted, entries, strict=True):
            state = State.PENDING if entry is None else entry.outcome.state
            if state is State.UNKNOWN and not self._sink.repeatable:
                doubtful.append((each.key or "", MAYBE_SENT))
            elif state in (State.PENDING, State.RETRY, State.UNKNOWN):
                left.append(Pending(each.number, each.key or "", each.record))
        if doubtful:
            await held.settle(doubtful)
        return _ChunkRows(left)


class _ChunkRows:
    """Few enough to be kept in memory; what becomes of them the ledger knows."""

    def __init__(self, rows: Sequence[Pending]) -> None:
        self._rows = rows

    async def pending(self, after: int) -> Sequence[Pending]:
        return [each for each in self._rows if each.number > after]

    def note(self, rows: Sequence[tuple[int, Outcome]]) -> None:
        pass
