"""Leases that are renewed in the background, and a worker's claim of a chunk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Self

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.state.progress import Failure, failures_to_json
from publitrac_async.bulk.state.redis.entries import Entries
from publitrac_async.bulk.state.redis.keys import StateKeys
from publitrac_async.bulk.state.redis.scripts import (
    END,
    KEEP_RUNNING,
    LEAVE,
    STOP,
    WORKER_LOOKUP,
    WORKER_WRITE,
)

_TAKEN_OVER: Final = (
    "the outcome was not recorded: another worker has taken over this chunk, another run has started since, "
    "or Redis lost its data"
)


class Lease:
    """A lease that is renewed in the background.

    Args:
        life: seconds until the lease ends without renewal.
        renew: renews the lease for `life`; returns false if the lease has been lost.
    """

    def __init__(self, life: float, renew: Callable[[], Awaitable[object]]) -> None:
        self._life = life
        self._renew = renew
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name="publitrac_async lease")

    async def end(self) -> None:
        """Stop renewing."""
        # Wait rather than cancel: a renewal that reaches Redis late would revive the lease.
        self._ended.set()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._life / 3)
            if self._ended.is_set():
                return
            try:
                if not await self._renew():
                    return
            except StateStoreError:
                continue  # Without Redis no other process can acquire the lease either.


class RedisChunkClaim(Entries):
    """A worker's claim of a chunk; see `ChunkClaim`.

    After another worker has claimed the chunk, or another run has replaced the job, `begin` returns false,
    and `complete` records an outcome only if no other process can have recorded one since.

    Use it as a context manager, so that other processes see the end of the claim.

    Attributes:
        job: id of the job.
        number: number of the chunk.
        attempt: number of workers that have claimed this chunk, including this one.
    """

    def __init__(
        self, keys: StateKeys, job: str, number: int, attempt: int, *, life: float, durable: bool
    ) -> None:
        super().__init__(
            keys,
            lookup=WORKER_LOOKUP,
            write=WORKER_WRITE,
            holder=(job, number, attempt),
            not_recorded=_TAKEN_OVER,
            durable=durable,
        )
        self.job = job
        self.number = number
        self.attempt = attempt
        self._member = f"{job}:{number}:{attempt}"
        self._life = life
        self._lease = Lease(life, self._renew)

    async def end(self, stopped: str | None = None, failures: Sequence[Failure] = ()) -> bool:
        """Report the end of this chunk to the process that started the job.

        Args:
            stopped: reason why the chunk ended before its last row, without personal data.
            failures: failed rows of the chunk.

        Returns:
            False if another worker has claimed the chunk since, or the job has ended.
        """
        await self.drain()
        text = f"{self.number} {stopped or ''}".rstrip()
        failed = failures_to_json(failures)
        return bool(await self._keys.run(END, self.job, self.number, self.attempt, text, failed))

    async def stop(self, reason: str) -> bool:
        """Prevent further calls of the whole job.

        Args:
            reason: reason, without personal data. If a job is stopped twice, the first reason is kept.

        Returns:
            False if the job has ended.
        """
        return bool(await self._keys.run(STOP, self.job, reason))

    async def aclose(self) -> None:
        """Write pending changes and release the chunk."""
        await self.drain()
        await self._lease.end()
        with contextlib.suppress(StateStoreError):  # The lease expires anyway.
            await self._keys.run(LEAVE, self._member, wait=False)

    async def _renew(self) -> bool:
        await self._keys.run(KEEP_RUNNING, self._member, round(self._life * 1000), wait=False)
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"RedisChunkClaim({self.job}, {self.number}, attempt {self.attempt})"
