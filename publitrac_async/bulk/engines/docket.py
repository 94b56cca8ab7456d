"""The engine of many hosts, on docket (extra ``docket``). The only file that imports it.

The process that calls `sync_leads` reads and plans the run and cuts it into chunks; processes in `serve`
send them. docket hands a chunk whose worker was killed to another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen

from publitrac_async.bulk.engines.chunks import ChunkOrder, ChunkWorker, digest_of
from publitrac_async.bulk.engines.shared import SharedLedger
from publitrac_async.bulk.engines.work import Work
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.outcomes import Spending
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.sinks import Sink
from publitrac_async.bulk.sources import Chunk, reference_of
from publitrac_async.bulk.sources.reference import NamedSources
from publitrac_async.bulk.stopping import Stop, cancelled
from publitrac_async.config import CONCURRENCY
from publitrac_async.errors import ConfigurationError, PublitracError

try:
    from docket import Docket, Retry, Worker
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "carrying out a run on several hosts needs an extra: pip install 'publitrac_async[docket]'",
        name=_error.name,
    ) from _error

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async.docket")

_TASK: Final = "send_chunk"
#: Seconds between two looks at what workers have done.
_LOOK: Final = 0.25
#: Looks without any sign of a worker after which orders are given again. One that is known adds nothing.
_LOOKS: Final = 120
#: Seconds before a chunk is begun again whose ledger did not answer.
_AGAIN: Final = timedelta(seconds=5)


@frozen
class DocketEngine:
    """Hands out the rows of a run to the workers of an account, in chunks.

    ::

        ledger = RedisLedger(url, account=api_key)
        await sync_leads(read_leads(path), publitrac.v2, ledger=ledger, engine=DocketEngine(url))

    The ledger has to be one that hosts share, the source one that others can open (`NamedSource`, or a file
    that lies at the same path everywhere). If this process is killed, the workers go on; beginning the same
    run again joins it.

    Attributes:
        url: of Redis or Valkey, as `publitrac_async.redis.RedisLedger` takes it.
        chunk_rows: rows in a chunk. At 35 calls a second 200 rows take six seconds.
    """

    url: str = field(repr=False)
    chunk_rows: int = 200

    def __attrs_post_init__(self) -> None:
        if self.chunk_rows < 1:
            raise ConfigurationError("chunk_rows must be at least 1")

    def check(self, work: Work) -> None:
        """Check that others can get at ledger and source.

        Raises:
            ConfigurationError: the ledger is for this process alone.
            SourceError: others cannot open the source.
        """
        if not isinstance(work.ledger, SharedLedger):
            raise ConfigurationError("several hosts need a ledger that they share: give a RedisLedger")
        reference_of(work.source)

    async def send(self, work: Work) -> str | None:
        """Hand out all rows that are pending, and wait until they have an outcome.

        Raises:
            LedgerError: Redis does not answer; workers may go on. The same run again joins it.
        """
        assert isinstance(work.ledger, SharedLedger)
        async with _docket(self.url, work.ledger) as docket:
            return await _Submission(work, work.ledger, docket, self.chunk_rows).carry_out()


class _Submission:
    def __init__(self, work: Work, ledger: SharedLedger, docket: Docket, chunk_rows: int) -> None:
        self._work = work
        self._ledger = ledger
        self._docket = docket
        self._chunk_rows = chunk_rows
        self._spending = Spending(work.budget)
        self._open: set[int] = set()

    async def carry_out(self) -> str | None:
        """Why it ended before the last row, ``None`` if it did not."""
        self._open = {number async for number in self._chunks()}
        asked = asyncio.create_task(self._work.stop.wait(1))
        at_once = asyncio.create_task(self._work.stop.wait(2))
        try:
            stopped = await self._watch(asked, at_once)
        finally:
            await cancelled(asked, at_once)
        if stopped is None:
            await self._ledger.finish()
        return stopped

    async def _watch(self, asked: asyncio.Task[None], at_once: asyncio.Task[None]) -> str | None:
        known = 0
        since_sign = _LOOKS
        told = False
        while True:
            if since_sign >= _LOOKS:
                # Also in mid-run: a worker that was only stalled may have taken an order with it.
                await self._order(sorted(self._open))
                since_sign = 0
            ended = await self._ledger.ended(known)
            known += len(ended)
            for chunk in ended:
                await self._take_over(chunk.number)
            stopped = self._spending.exceeded or ("interrupted" if asked.done() else None)
            if stopped is not None:
                await self._ledger.stop(stopped)
            stopped = await self._ledger.stopped()
            if not self._open:
                return stopped
            running = await self._ledger.running()
            if stopped is not None and (at_once.done() or not running):
                for number in sorted(self._open):
                    await self._take_over(number)
                return stopped
            since_sign = 0 if ended or running else since_sign + 1
            if since_sign >= _LOOKS and not told:
                told = True
                logger.warning("no worker takes the chunks of this run: start some")
            await asyncio.wait([at_once], timeout=_LOOK)

    async def _chunks(self) -> AsyncIterator[int]:
        """The numbers of chunks in which a row is pending."""
        for number in count():
            rows = await self._work.spool.planned_between(*self._bounds(number))
            if not rows:
                return
            if any(row.state is State.PENDING for row in rows):
                yield number

    def _bounds(self, number: int) -> tuple[int, int]:
        return number * self._chunk_rows + 1, (number + 1) * self._chunk_rows

    async def _order(self, numbers: Sequence[int]) -> None:
        """Give orders. Those that are known to the queue already add nothing."""
        for start in range(0, len(numbers), 500):
            orders = [await self._order_for(number) for number in numbers[start : start + 500]]
            try:
                await _reached(self._give(orders))
            except LedgerError:
                # The ledger is patient with a Redis that is just being restarted, docket is not.
                await self._ledger.running()
                await _reached(self._give(orders))

    async def _give(self, orders: Sequence[ChunkOrder]) -> None:
        given = await self._docket.add_many(
            self._docket.call(_TASK, key=f"{order.job}:{order.number}")(order.to_json()) for order in orders
        )
        for each in given:
            if each.schedule_exception is not None:
                raise each.schedule_exception

    async def _order_for(self, number: int) -> ChunkOrder:
        work = self._work
        rows = await work.spool.planned_between(*self._bounds(number))
        return ChunkOrder(
            job=self._ledger.job or "",
            number=number,
            source=reference_of(work.source),
            chunk=Chunk(number=rows[0].number, line=rows[0].line, position=rows[0].position, count=len(rows)),
            left_out=tuple(row.number for row in rows if row.state is not State.PENDING),
            digest=digest_of(row.payload for row in rows),
            destination=work.sink.destination,
            mapping=work.prepare.mapping,
            budget=work.budget,
        )

    async def _take_over(self, number: int) -> None:
        """Note what became of the rows of a chunk that has ended."""
        if number not in self._open:
            return
        self._open.discard(number)
        rows = [
            row
            for row in await self._work.spool.planned_between(*self._bounds(number))
            if row.state is State.PENDING
        ]
        entries = await self._ledger.recall([row.key or "" for row in rows])
        noted = []
        for row, entry in zip(rows, entries, strict=True):
            outcome = None if entry is None else _ended(entry.outcome)
            if outcome is not None:
                noted.append((row.number, outcome))
                self._work.course.settled(outcome)
                self._spending.add(outcome)
        if noted:
            await self._work.spool.note(noted)


def _ended(outcome: Outcome) -> Outcome | None:
    """How the last call of a row ended, ``None`` if there was none."""
    if outcome.state is not State.PENDING:
        return outcome
    # To the ledger, a row whose last call failed is as pending as one that had none.
    return None if outcome.kind is None else evolve(outcome, state=State.RETRY)


async def serve(
    url: str,
    sink: Sink[Any],
    ledger: SharedLedger,
    *,
    sources: NamedSources | None = None,
    workers: int = CONCURRENCY,
    chunks: int = 2,
    redelivery: float = 30.0,
    stop: Stop | None = None,
) -> None:
    """Send the chunks of runs that other processes begin, until asked to end.

    ::

        async with PublitracClient(api_key=key, **shared(url, account=key)) as publitrac:
            await serve(url, DelayedSync(publitrac.v2), RedisLedger(url, account=key))

    A worker that is asked to end, or cancelled, finishes the calls it has begun; what is left of its chunks
    others send, after `redelivery`.

    Args:
        url: of Redis or Valkey, the same as for `DocketEngine`.
        sink: of an open client. It has to share its limit with all others of the account.
        ledger: of the same account and name as that of the run. It is closed at the end.
        sources: those that a `NamedSource` names: functions that open them.
        workers: calls of one chunk in flight at once.
        chunks: in hand at once. With two, the next is read while the last calls of one are under way.
        redelivery: seconds of silence after which the chunks of a worker are given to another one.
        stop: asks it to end.

    Raises:
        ConfigurationError: a setting cannot be used.
        LedgerError: Redis does not answer when it begins, for as long as `ledger` is patient. Later it is
            waited for.
    """
    if workers < 1 or chunks < 1 or redelivery <= 0:
        raise ConfigurationError("workers and chunks must be at least 1, redelivery above 0 s")
    stop = stop or Stop()
    worker = ChunkWorker(sink, ledger, sources=sources, workers=workers, stop=stop)
    leaving = asyncio.Event()

    async def send_chunk(order: str, retry: Retry = Retry.forever(delay=_AGAIN)) -> None:  # noqa: ARG001, B008  (docket reads the default)
        try:
            await worker.carry_out(ChunkOrder.from_json(order))
        except asyncio.CancelledError:
            # Until docket knows that this process ends, it takes this for the end of the chunk.
            await leaving.wait()
            raise

    try:
        # docket waits for ever for a Redis that is not there; the ledger has only so much patience.
        await ledger.running()
        async with _docket(url, ledger, {_TASK: send_chunk}) as docket:
            await _run(docket, chunks, redelivery, stop, leaving)
    finally:
        await asyncio.shield(_closed(worker, ledger))


async def _run(docket: Docket, chunks: int, redelivery: float, stop: Stop, leaving: asyncio.Event) -> None:
    async with Worker(
        docket,
        concurrency=chunks,
        redelivery_timeout=timedelta(seconds=redelivery),
        schedule_automatic_tasks=False,
    ) as queue:
        running = asyncio.create_task(queue.run_forever())
        asked = asyncio.create_task(stop.wait(1))
        try:
            await asyncio.wait([running, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not stop.requested:
                stop.request()
            running.cancel()
            leaving.set()
            # Waits for the chunks in hand, which end by themselves now.
            await cancelled(asked, running)
        if not running.cancelled() and (error := running.exception()) is not None:
            raise error


async def _closed(worker: ChunkWorker, ledger: SharedLedger) -> None:
    await worker.aclose()
    await ledger.aclose()


@asynccontextmanager
async def _docket(
    url: str, ledger: SharedLedger, tasks: Mapping[str, Any] | None = None
) -> AsyncIterator[Docket]:
    async with AsyncExitStack() as stack:
        docket = await _reached(_entered(stack, ledger.queue, url))
        for name, task in (tasks or {_TASK: _carried_out_elsewhere}).items():
            docket.register(task, names=[name])
        yield docket


async def _entered(stack: AsyncExitStack, name: str, url: str) -> Docket:
    return await stack.enter_async_context(Docket(name=name, url=url, execution_ttl=timedelta(0)))


async def _reached(asking: Coroutine[Any, Any, T]) -> T:
    """What docket and its Redis client answer; their errors as ours."""
    failure: PublitracError
    try:
        return await asking
    except (ValueError, TypeError, AttributeError):
        failure = ConfigurationError("url must be redis://, rediss:// or unix://, as redis-py reads it")
    except Exception as error:  # noqa: BLE001  (the errors of Redis clients have no root that is known here)
        failure = LedgerError(
            f"the queue in Redis does not answer ({type(error).__name__}): check its URL, and that Redis runs"
            " and has memory and disk left, then run it again",
            retryable=True,
        )
    # Raised out here, without the context whose text and frames may show the URL.
    raise failure


async def _carried_out_elsewhere(order: str) -> None:
    """Stands for the task in the process that gives the orders."""
