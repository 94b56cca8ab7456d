"""The state store that distributed runs need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from attrs import frozen

from publitrac_async.bulk.state.base import Entry, StateStore, StateWriter
from publitrac_async.bulk.state.progress import Failure
from publitrac_async.transport.secret import Secret


@frozen
class ChunkResult:
    """End of a chunk.

    Attributes:
        number: number of the chunk.
        stopped: reason why the chunk ended before its last row, ``None`` at its regular end.
    """

    number: int
    stopped: str | None


class ChunkClaim(StateWriter, Protocol):
    """The part of a state store that a worker uses during a chunk.

    After another worker has taken over, no call may start and no outcome can be recorded: `StateStoreError`
    is not ``retryable`` then.

    Attributes:
        attempt: number of workers that have claimed this chunk, this one included.
    """

    attempt: int

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads. A lead that an earlier worker was sending is `State.UNKNOWN`."""
        ...

    async def stop(self, reason: str) -> object:
        """Prevent further calls of this job, in any process."""
        ...

    async def end(self, stopped: str | None = None, failures: Sequence[Failure] = ()) -> bool:
        """Report the end of this chunk to the process that started the job, and its failed rows."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class WorkerReports(Protocol):
    """Reports of workers to the process that started a job, beside the results of chunks."""

    async def add_unable(self, job: str, worker: str, reason: str) -> None:
        """Record that a worker cannot open the source of a job."""
        ...

    async def unable(self, job: str) -> Mapping[str, str]:
        """Return the workers that cannot open the source of a job, with their reasons."""
        ...

    async def add_messages(self, job: str, chunk: int, messages: Mapping[int, str]) -> None:
        """Record messages of the service about rows of a chunk, by number of the row.

        They may quote personal data: only processes of the account may read them.
        """
        ...

    async def messages(self, job: str, chunk: int) -> Mapping[int, str]:
        """Return the messages of the service about rows of a chunk, by number of the row."""
        ...


@runtime_checkable
class SharedStateStore(StateStore, Protocol):
    """A state store for a run that workers on several hosts execute.

    One process opens it; workers claim chunks from further instances, which they do not open.

    Attributes:
        queue: name of the queue of its chunks, unique for account and state store.
        queue_url: URL of the Redis that holds the queue.
        job: id of the job, while the state store is open for a run.
    """

    queue: str
    queue_url: Secret
    job: str | None

    @property
    def reports(self) -> WorkerReports:
        """Reports of workers."""
        ...

    async def check(self, *, queue: bool = False) -> None:
        """Try what the state store, and the queue of workers, need; raise `ConfigurationError` without it."""
        ...

    async def note_rows(self, pending: int, refused: Sequence[Failure]) -> None:
        """Record for `RunProgress` how many rows will be sent, and the rows that were rejected before."""
        ...

    def sign(self, task: str) -> str:
        """Return a task with a signature by a key that is derived from the account."""
        ...

    def verified(self, signed: str) -> str | None:
        """Return the task, ``None`` if the signature is not of this account and queue."""
        ...

    async def claim(self, job: str, number: int) -> ChunkClaim | None:
        """Claim a chunk for a worker; ``None`` if the job has ended or was stopped."""
        ...

    async def results(self, after: int) -> Sequence[ChunkResult]:
        """Return the results of chunks, except the first `after`."""
        ...

    async def is_current(self, job: str) -> bool:
        """Return True while a job is the current one and was not stopped."""
        ...

    async def claimed(self) -> frozenset[int]:
        """Return the numbers of the claimed chunks of the job, also of killed workers with a lease."""
        ...

    async def stop(self, reason: str) -> object:
        """Prevent further calls, in any process."""
        ...

    async def stopped(self) -> str | None:
        """Return the reason why the job was stopped, ``None`` if it was not."""
        ...

    async def finish(self) -> None:
        """Delete the job after its last row."""
        ...
