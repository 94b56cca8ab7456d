"""The state store that distributed runs need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self, runtime_checkable

from attrs import frozen

from publitrac_async.bulk.state.base import Entry, StateStore, StateWriter
from publitrac_async.bulk.state.progress import Failure
from publitrac_async.transport.secret import Secret


@frozen
class ChunkResult:
    """Result of a chunk that has ended.

    Attributes:
        number: number of the chunk.
        stopped: reason why the chunk ended before its last row, ``None`` at its regular end.
    """

    number: int
    stopped: str | None


class ChunkClaim(StateWriter, Protocol):
    """A worker's exclusive right to send a chunk, and its part of the state store.

    After another worker has claimed the chunk, no call may start and no outcome can be recorded: the
    `StateStoreError` is then not ``retryable``.

    Attributes:
        attempt: number of workers that have claimed this chunk, including this one.
    """

    attempt: int

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads. Leads whose call by an earlier worker did not end are unknown."""
        ...

    async def stop(self, reason: str) -> object:
        """Prevent further calls of this job, in any process."""
        ...

    async def end(self, stopped: str | None = None, failures: Sequence[Failure] = ()) -> bool:
        """Report the end of this chunk to the process that started the job, and its failed rows."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


class WorkerReports(Protocol):
    """Reports of workers to the process that started a job, in addition to the results of chunks."""

    async def add_source_error(self, job: str, worker: str, reason: str) -> None:
        """Record that a worker cannot open the source of a job."""
        ...

    async def source_errors(self, job: str) -> Mapping[str, str]:
        """Return the reasons why workers cannot open the source of a job, by worker."""
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
        """Try the commands that the state store needs, and the queue if asked.

        Raises:
            ConfigurationError: the server lacks one of them.
        """
        ...

    async def note_rows(self, pending: int, refused: Sequence[Failure]) -> None:
        """Record the number of rows to be sent, and the rows rejected before that, for `RunProgress`."""
        ...

    def sign(self, task: str) -> str:
        """Return a task with a signature, by a key that is derived from the account."""
        ...

    def verified(self, signed: str) -> str | None:
        """Return the task, ``None`` if its signature is not that of this account and queue."""
        ...

    async def claim(self, job: str, number: int) -> ChunkClaim | None:
        """Claim a chunk for a worker; ``None`` if the job has ended or was stopped."""
        ...

    async def results(self, after: int) -> Sequence[ChunkResult]:
        """Return the results of ended chunks in the order of their ends, except the first `after`."""
        ...

    async def is_current(self, job: str) -> bool:
        """Return True while a job is the current one and was not stopped."""
        ...

    async def claimed(self) -> frozenset[int]:
        """Return the numbers of the job's claimed chunks. After a kill a claim lasts until its lease ends."""
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
