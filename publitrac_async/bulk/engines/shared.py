"""What engines that hand out rows to other processes ask of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from publitrac_async.bulk.ledger import Entry, Journal, Ledger


class EndedChunk(Protocol):
    """A chunk that a worker is done with."""

    @property
    def number(self) -> int:
        """Of the chunk."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why it ended before its last row, ``None`` if it did not."""
        ...


class HeldChunk(Journal, Protocol):
    """The part of a ledger that a worker sees while it holds a chunk.

    Calls may not begin, nor outcomes be noted, when another worker has taken over. What then fails with
    `LedgerError` is not ``retryable``.

    Attributes:
        attempt: 1 for the first worker that took it.
    """

    attempt: int

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads. What an earlier worker was sending is `State.UNKNOWN`."""
        ...

    async def stop(self, reason: str) -> object:
        """Have no more calls of this job begin, in any process."""
        ...

    async def end(self, stopped: str | None = None) -> bool:
        """Tell the process that began the job that this chunk is done."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


@runtime_checkable
class SharedLedger(Ledger, Protocol):
    """A ledger for a run that workers on several hosts carry out.

    One process opens it; the workers take chunks from ledgers of their own, which they do not open.

    Attributes:
        queue: name for the queue of its chunks; another one for each account and ledger.
        job: id of the job, once the ledger is open for a run.
    """

    queue: str
    job: str | None

    async def take(self, job: str, number: int) -> HeldChunk | None:
        """Take a chunk, for a worker; ``None`` if the job is over or was stopped."""
        ...

    async def ended(self, after: int) -> Sequence[EndedChunk]:
        """The chunks that workers are done with; `after` so many that are known already."""
        ...

    async def running(self) -> int:
        """How many chunks of the job workers have in hand; those of a killed worker until its lease ends."""
        ...

    async def stop(self, reason: str) -> object:
        """Have no more calls begin, in any process."""
        ...

    async def stopped(self) -> str | None:
        """Why the job was stopped, ``None`` if it was not."""
        ...

    async def finish(self) -> None:
        """Forget the job, whose rows are all done."""
        ...
