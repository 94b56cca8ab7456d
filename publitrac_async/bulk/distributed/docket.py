"""The executor for several hosts, built on docket (extra ``docket``). No other file imports docket.

The process that calls `sync_leads` extracts and plans the run and cuts it into chunks; processes that run
`serve` send them. docket redelivers the chunks of a killed worker to another one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final, TypeVar

from attrs import frozen

from publitrac_async.bulk.arguments import check_sink
from publitrac_async.bulk.distributed import messages
from publitrac_async.bulk.distributed.chunk import Chunk
from publitrac_async.bulk.distributed.references import reference_of
from publitrac_async.bulk.distributed.submission import Submission
from publitrac_async.bulk.distributed.worker import ChunkWorker
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.executor import RunContext
from publitrac_async.bulk.shutdown import Shutdown, cancelled
from publitrac_async.bulk.sinks.base import Sink
from publitrac_async.bulk.sinks.publitrac import as_sink
from publitrac_async.bulk.sources.named import NamedSources
from publitrac_async.bulk.state.shared import SharedStateStore
from publitrac_async.config import CONCURRENCY, is_integer
from publitrac_async.errors import ConfigurationError, PublitracError
from publitrac_async.frames import clears_frames_of_run
from publitrac_async.transport.events import RunHook
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2

try:
    from docket import Docket, Retry, StrikeList, Worker
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "runs on several hosts need an extra: pip install 'publitrac_async[docket]'", name=_error.name
    ) from _error

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async.docket")

_TASK: Final = "send_chunk"
NOT_SHARED: Final = "several hosts need a shared state store, such as RedisStateStore(shared)"
#: Seconds between two checks of Redis while a worker ends.
_PROBE: Final = 2.0
#: Delay of a chunk whose state store did not respond.
_RETRY_DELAY: Final = timedelta(seconds=5)


@frozen
class DocketExecutor:
    """Distributes the rows of a run, in chunks, among the workers of an account.

    ::

        async with SharedRedis(url, account=api_key) as shared:
            state = RedisStateStore(shared)
            await sync_leads(read_leads(path), publitrac.v2, state=state, executor=DocketExecutor())

    The hosts must share the state store and be able to open the source (a `NamedSource`, or a file at the
    same path everywhere). If this process is killed, the workers continue, and the same run joins them.

    Attributes:
        chunk_rows: rows per chunk. At 35 calls per second, 200 rows take six seconds.

    Raises:
        ConfigurationError: `chunk_rows` is not a whole number, or below 1.
    """

    chunk_rows: int = 200

    def __attrs_post_init__(self) -> None:
        if not is_integer(self.chunk_rows) or self.chunk_rows < 1:
            raise ConfigurationError("chunk_rows must be a whole number, at least 1")

    @property
    def fingerprint(self) -> str:
        """Settings that a run must share to join another one."""
        return f"docket, {self.chunk_rows} rows per chunk"

    def check(self, run: RunContext) -> None:
        """Check that other processes can use the state store and open the source.

        Raises:
            ConfigurationError: only this process can use the state store.
            SourceError: other processes cannot open the source.
        """
        if not isinstance(run.store, SharedStateStore):
            raise ConfigurationError(NOT_SHARED)
        reference_of(run.source)

    async def execute(self, run: RunContext) -> str | None:
        """Distribute all pending rows, and wait for their outcomes.

        Raises:
            StateStoreError: Redis does not respond. Workers may continue; the same run joins them.
        """
        assert isinstance(run.store, SharedStateStore)
        await run.store.check(queue=True)
        async with _docket(run.store) as docket:
            return await Submission(run, run.store, _Queue(docket, run.store), self.chunk_rows).execute()


@clears_frames_of_run
async def serve(
    sink: Sink[Any] | V1 | V2,
    state: SharedStateStore,
    *,
    sources: NamedSources | None = None,
    concurrency: int = CONCURRENCY,
    chunks: int = 2,
    redelivery: float = 30.0,
    shutdown: Shutdown | None = None,
    hooks: Sequence[RunHook] = (),
) -> None:
    """Send the chunks of runs that other processes start, until a shutdown.

    ::

        async with SharedRedis(url, account=key) as shared:
            async with PublitracClient(api_key=key, shared=shared) as publitrac:
                await serve(publitrac.v2, RedisStateStore(shared))

    A worker that is shut down or cancelled completes its calls in flight, and hands the rest of its chunks
    over to other workers at once. A worker that cannot open the source of a run hands its chunks over and
    takes no more chunks of that run.

    Args:
        sink: as for `sync_leads`. Its client is open and shares its rate limit with all of the account.
        state: state store with the account and name of the runs. It need not be open, and is not closed.
        sources: function that opens the source, by name of each `NamedSource`.
        concurrency: maximum number of calls in flight per chunk.
        chunks: maximum number of chunks at a time. With two, the next chunk is read during the last calls of
            the other.
        redelivery: seconds without a sign of life after which a worker's chunks go to other workers.
        shutdown: request to end this worker.
        hooks: called with the events of chunks, such as `publitrac_async.opentelemetry.OpenTelemetry`.

    Raises:
        ConfigurationError: a setting is unusable.
        StateStoreError: Redis does not respond at the start, within the timeout of `state`. The worker waits
            for the end of later outages.
    """
    if concurrency < 1 or chunks < 1 or redelivery <= 0:
        raise ConfigurationError("concurrency and chunks must be at least 1, redelivery above 0 s")
    sink = as_sink(sink)
    check_sink(sink)
    if not isinstance(state, SharedStateStore):
        raise ConfigurationError(NOT_SHARED)
    shutdown = shutdown or Shutdown()
    opened: list[Docket] = []

    async def hand_over(chunk: Chunk, task: str) -> None:
        # At once, before docket notices the end of this process.
        await opened[0].add(_TASK, key=f"{chunk.job}:{chunk.number}:{token_hex(4)}")(task)

    worker = ChunkWorker(
        sink, state, sources=sources, concurrency=concurrency, shutdown=shutdown, hooks=hooks
    )
    ending = asyncio.Event()
    executing: set[asyncio.Task[Any]] = set()

    async def send_chunk(task: str, retry: Retry = Retry.forever(delay=_RETRY_DELAY)) -> None:  # noqa: ARG001, B008  (docket reads the default)
        content = state.verified(task)
        if content is None:
            logger.error(
                "discarded a task without a valid signature of this account: check who can write to Redis"
            )
            return
        chunk = Chunk.from_json(content)
        if (current := asyncio.current_task()) is not None:
            executing.add(current)
            current.add_done_callback(executing.discard)
        try:
            finished = not worker.lacks_source(chunk.job) and await worker.execute(chunk)
            if not finished:
                await _translated(hand_over(chunk, task))
        except asyncio.CancelledError:
            # Until docket notices the end of this process, it treats cancellation as the end of the chunk.
            await ending.wait()
            raise
        if worker.lacks_source(chunk.job):
            # While it waits here, docket gives this worker no more tasks.
            await worker.wait_for_another_job(chunk.job)

    try:
        # If Redis is unreachable or rights are missing, docket waits forever, but the state store raises.
        await state.check(queue=True)
        async with _docket(state, {_TASK: send_chunk}) as docket:
            opened.append(docket)
            await _consume(
                docket,
                state,
                executing,
                name=worker.name,
                chunks=chunks,
                redelivery=redelivery,
                shutdown=shutdown,
                ending=ending,
            )
    finally:
        await asyncio.shield(worker.aclose())


async def _consume(
    docket: Docket,
    state: SharedStateStore,
    executing: Collection[asyncio.Task[Any]],
    *,
    name: str,
    chunks: int,
    redelivery: float,
    shutdown: Shutdown,
    ending: asyncio.Event,
) -> None:
    async with Worker(
        docket,
        name=name,
        concurrency=chunks,
        redelivery_timeout=timedelta(seconds=redelivery),
        schedule_automatic_tasks=False,
    ) as queue:
        running = asyncio.create_task(queue.run_forever())
        draining = asyncio.create_task(shutdown.draining.wait())
        try:
            await asyncio.wait([running, draining], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not shutdown.requested:
                shutdown.request()
            running.cancel()
            ending.set()
            await cancelled(draining)
            await _wait_for_end(running, executing, state)
        if not running.cancelled() and (error := running.exception()) is not None:
            raise error if isinstance(error, PublitracError) else _unavailable(error)


async def _wait_for_end(
    running: asyncio.Task[None], executing: Collection[asyncio.Task[Any]], state: SharedStateStore
) -> None:
    """Wait until the current chunks have ended after a shutdown.

    Without Redis neither they nor docket ever end, so they are cancelled after the timeout of `state`.
    Other workers treat their calls in flight as those of a killed worker.

    Args:
        running: the task in which docket runs, cancelled.
        executing: tasks of the current chunks.
        state: state store of the runs.
    """
    while not running.done():
        await asyncio.wait([running], timeout=_PROBE)
        probe = asyncio.create_task(state.is_current(""))
        await asyncio.wait([running, probe], return_when=asyncio.FIRST_COMPLETED)
        if probe.done() and probe.exception() is not None and not running.done():
            logger.warning("Redis does not respond: this worker ends without recording its last calls")
            # docket waits for Redis before it checks its tasks, and after each of them.
            for _ in range(2):
                if left := {task for task in executing if not task.done()}:
                    for task in left:
                        task.cancel()
                    await asyncio.wait(left, timeout=_PROBE)
            running.cancel()
        await cancelled(probe)


@asynccontextmanager
async def _docket(store: SharedStateStore, tasks: Mapping[str, Any] | None = None) -> AsyncIterator[Docket]:
    async with AsyncExitStack() as stack:
        docket = await _translated(_opened(stack, store))
        for name, task in (tasks or {_TASK: _executed_by_workers}).items():
            docket.register(task, names=[name])
        yield docket


class _Queue:
    """The queue of chunks, for a submission."""

    def __init__(self, docket: Docket, store: SharedStateStore) -> None:
        self._docket = docket
        self._store = store

    async def add(self, chunks: Sequence[Chunk]) -> None:
        """Queue chunks; see `Queue.add`."""
        await _translated(self._add(chunks))

    async def workers(self) -> dict[str, dt.datetime]:
        """Return the workers; see `Queue.workers`."""
        return {each.name: each.last_seen for each in await _translated(self._docket.workers())}

    async def _add(self, chunks: Sequence[Chunk]) -> None:
        added = await self._docket.add_many(
            self._docket.call(_TASK, key=f"{chunk.job}:{chunk.number}")(self._store.sign(chunk.to_json()))
            for chunk in chunks
        )
        for each in added:
            if each.schedule_exception is not None:
                raise each.schedule_exception


async def workers_of(store: SharedStateStore) -> dict[str, dt.datetime]:
    """Return the workers of a state store by name, with the time of their last sign of life.

    Raises:
        StateStoreError: Redis does not respond.
    """
    async with _docket(store) as docket:
        return await _Queue(docket, store).workers()


async def _opened(stack: AsyncExitStack, store: SharedStateStore) -> Docket:
    return await stack.enter_async_context(_SignedDocket(store))


class _SignedDocket(Docket):
    """A docket that unpickles nothing from Redis; see `messages`."""

    def __init__(self, store: SharedStateStore) -> None:
        self._store = store
        self._checked: object = None
        self._strikes = StrikeList()
        super().__init__(name=store.queue, url=store.queue_url.reveal(), execution_ttl=timedelta(0))

    # On entering, docket assigns a list of its own; a plain attribute could not prevent it.
    @property
    def strike_list(self) -> StrikeList:  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
        """A list without Redis: docket would unpickle the instructions of its own list."""
        return self._strikes

    @strike_list.setter
    def strike_list(self, _: StrikeList) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  (docket sets it)
        pass

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Any]:
        """Return docket's client of Redis, which checks all messages."""
        async with super().redis() as client:
            if client is not self._checked:
                self._checked = client
                callbacks: dict[str, Any] = client.response_callbacks  # type: ignore[attr-defined]  # of redis-py
                for command in messages.COMMANDS:
                    callbacks[command] = messages.checked(callbacks.get(command), _TASK, self._is_signed)
            yield client

    def _is_signed(self, text: str) -> bool:
        return self._store.verified(text) is not None


async def _translated(call: Coroutine[Any, Any, T]) -> T:
    """Await a call of docket; translate its errors and those of its Redis client."""
    failure: PublitracError
    try:
        return await call
    except (ValueError, TypeError, AttributeError):
        failure = ConfigurationError("url must be redis://, rediss:// or unix://, as redis-py reads it")
    except Exception as error:  # noqa: BLE001  (the errors of Redis clients have no base class that is known here)
        failure = _unavailable(error)
    # Raised outside `except`, so without the context: its message and frames may show the URL.
    raise failure


def _unavailable(error: BaseException) -> StateStoreError:
    return StateStoreError(
        f"the queue in Redis does not respond ({type(error).__name__}): check its URL, and that Redis "
        "runs and has memory and disk left, then run it again",
        retryable=True,
    )


async def _executed_by_workers(task: str) -> None:
    """Stand in for the task in a process that only queues it."""
