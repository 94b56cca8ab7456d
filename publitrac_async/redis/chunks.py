"""A chunk of a job in the hands of a worker, and leases that are renewed while somebody holds them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.redis.entries import Entries
from publitrac_async.redis.scripts import END, KEEP_RUNNING, LEAVE, STOP, WORKER_RECALL, WORKER_WRITE, Store

_TAKEN_OVER: Final = (
    "the outcome was not noted: another worker has taken over this chunk, another run has begun since, or "
    "Redis lost its data"
)


class Lease:
    """Renewed in the background until it ends.

    Args:
        life: seconds.
        renew: prolongs it by so much; says whether there still is something to renew.
    """

    def __init__(self, life: float, renew: Callable[[], Awaitable[object]]) -> None:
        self._life = life
        self._renew = renew
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name="publitrac_async lease")

    async def end(self) -> None:
        """Renew it no more."""
        # Nothing is cancelled: a renewal that Redis gets to see late would make the lease live again.
        self._over.set()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._life / 3)
            if self._over.is_set():
                return
            try:
                if not await self._renew():
                    return
            except LedgerError:
                continue  # Without Redis there is nobody who could take it either.


class Chunk:
    """The part of the ledger that a worker sees while it holds a chunk of a job.

    When another worker takes the same chunk, or another run takes the place of the job, calls may not begin
    any more (`intend` says so), and the outcome of a call can be noted (`settle`) only where nobody else may
    have made another one since.

    Use it as context manager, so that others learn that the chunk is not running any more.

    Attributes:
        job: id.
        number: of the chunk.
        attempt: 1 for the first worker that took it.
    """

    def __init__(
        self, store: Store, job: str, number: int, attempt: int, *, life: float, durable: bool
    ) -> None:
        self.job = job
        self.number = number
        self.attempt = attempt
        self._entries = Entries(
            store,
            recall=WORKER_RECALL,
            write=WORKER_WRITE,
            holder=(job, number, attempt),
            refused=_TAKEN_OVER,
            durable=durable,
        )
        member = f"{job}:{number}:{attempt}"
        keep = store.script(KEEP_RUNNING, patient=False)
        self._leave = store.script(LEAVE, patient=False)
        self._end = store.script(END)
        self._stop = store.script(STOP)
        self._member = member

        async def renew() -> bool:
            await keep(member, round(life * 1000))
            return True

        self._lease = Lease(life, renew)

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads. What an earlier worker was sending is `State.UNKNOWN`."""
        return await self._entries.recall(keys)

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Note that a call with these leads is about to begin; see `publitrac_async.bulk.ledger.Ledger`."""
        return self._entries.intend(keys)

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Note how a call ended; see `publitrac_async.bulk.ledger.Ledger`."""
        return self._entries.settle(leads)

    async def end(self, stopped: str | None = None) -> bool:
        """Tell the process that began the job that this chunk is done.

        Args:
            stopped: why it ended before its last row, in words without personal data.

        Returns:
            Whether it is told; if not, the chunk is another worker's by now, or the job is over.
        """
        await self._entries.drain()
        text = f"{self.number} {stopped or ''}".rstrip()
        return bool(await self._end(self.job, self.number, self.attempt, text))

    async def stop(self, reason: str) -> bool:
        """Have no more calls of the whole job begin.

        Args:
            reason: in words without personal data. The first one counts.

        Returns:
            Whether it still is the job.
        """
        return bool(await self._stop(self.job, reason))

    async def aclose(self) -> None:
        """Let go of the chunk; what was noted is written first."""
        await self._entries.drain()
        await self._lease.end()
        with contextlib.suppress(LedgerError):  # It lapses by itself.
            await self._leave(self._member)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Chunk({self.job}, {self.number}, attempt {self.attempt})"
