"""A ledger that several hosts share, in Redis or Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome, Unsettled
from publitrac_async.bulk.rows import State
from publitrac_async.errors import ConfigurationError
from publitrac_async.redis import scripts
from publitrac_async.redis.chunks import Chunk, Lease
from publitrac_async.redis.connection import ANSWER_TIMEOUT, connect
from publitrac_async.redis.entries import AT_ONCE, LOST, Argument, Entries, portions, state_and_reason
from publitrac_async.redis.scripts import POLL, Store
from publitrac_async.transport.secret import Secret

logger: Final = logging.getLogger("publitrac_async.redis")

#: Seconds after which others need not wait any longer for a process that was killed.
LEASE: Final = 30.0
#: Seconds in which Redis may be restarted without ending a run.
PATIENCE: Final = 30.0
#: Seconds for an answer that waits for the disk. Where Redis writes to it once a second, that is two.
_DISK_TIMEOUT: Final = 5.0


@frozen
class EndedChunk:
    """A chunk that a worker is done with.

    Attributes:
        number: of the chunk.
        stopped: why it ended before its last row, ``None`` if it did not.
    """

    number: int
    stopped: str | None


class RedisLedger:
    """A ledger in Redis: for runs from any host, one at a time, and for runs that many hosts carry out.

    One process opens it, as any `publitrac_async.bulk.ledger.Ledger`. If it hands out its rows in chunks, the
    workers `take` these from ledgers of their own, which they do not open.

    Redis gets to see hashes in place of e-mail addresses. What was noted is as durable as Redis is configured
    to be: ``appendonly yes`` and no eviction (``maxmemory-policy noeviction``) are advised.

    Args:
        url: of Redis 6.2 or newer, or of Valkey: ``redis://``, ``rediss://`` or ``unix://``. Options of
            redis-py may follow: ``?socket_timeout=2`` (seconds; 1 by default).
        account: whose leads these are, and the key to their hashes: the API key is best. Redis gets to see a
            hash only.
        name: a ledger is for one destination. Those of an account differ by their names.
        durable: no call begins before its intent is on the disk of Redis, for records that must never be sent
            twice. Needs ``appendonly yes`` and Redis 7.2 or Valkey.
        lease: seconds after which a process that was killed holds nothing any more.
        patience: seconds to wait for a Redis that does not answer, before a run ends.

    Raises:
        ConfigurationError: no Redis URL, or no account.
    """

    def __init__(
        self,
        url: str,
        *,
        account: str | Secret,
        name: str = "default",
        durable: bool = False,
        lease: float = LEASE,
        patience: float = PATIENCE,
    ) -> None:
        self._name = name
        connection = connect(url, account, answer_timeout=_DISK_TIMEOUT if durable else ANSWER_TIMEOUT)
        # Tracebacks may be recorded with the locals of their frames.
        del url, account
        if isinstance(connection, ConfigurationError):
            raise connection
        if lease <= 0:
            raise ConfigurationError("lease must be more than 0 s")
        self._connection = connection
        self._store = store = Store(connection, name, patience=patience)
        self._durable = durable
        self._checked = False
        self._life = lease
        self._lease: Lease | None = None
        self._session = ""
        self._entries = self._entries_of("")
        self._enter = store.script(scripts.OPENER_ENTER)
        self._source = store.script(scripts.NOTE_SOURCE)
        self._finish = store.script(scripts.FINISH)
        self._stop = store.script(scripts.STOP)
        self._running = store.script(scripts.RUNNING)
        self._take = store.script(scripts.TAKE, durable=durable)
        #: For the queue of its chunks.
        self.queue: str = f"{connection.key(name)}:queue"
        #: Id of the job, once the ledger is open for a run.
        self.job: str | None = None

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:
        """Open the ledger for this process alone; see `publitrac_async.bulk.ledger.Ledger`.

        If it takes the place of another run whose workers are in the middle of calls, it waits for these.

        Args:
            destination: what the leads are sent to. ``None`` leaves a run that workers carry out alone.
            run: stands for source, mapping and settings of the run, and for how it is cut into chunks.
                Beginning the same one again joins it, unless it was stopped or finished. Empty joins nothing.
            reset: forget everything.

        Raises:
            LedgerError: it is in use, belongs to another destination, or Redis does not answer.
        """
        if self._session:
            raise LedgerError("this ledger is open already: close it first")
        self._session = session = secrets.token_urlsafe(9)
        self._entries = self._entries_of(session)
        try:
            await self._check_disk(patient=False)
            self.job = await self._hold(destination, run, reset=reset)
            self._lease = Lease(self._life, self._renew)
            if self.job is not None:
                await self._wait_for_other_jobs()
            if reset:
                self._check(await self._store.script(scripts.RESET)(session, destination or ""))
        except BaseException:
            await self.aclose()
            raise

    async def _hold(self, destination: str | None, run: str, *, reset: bool) -> str | None:
        """Take the ledger, if it is free and the right one, and say which job that is for."""
        answer, *details = await self._store.script(scripts.OPEN, patient=False)(
            self._session,
            round(self._life * 1000),
            destination or "",
            self._connection.hashed(run).hex() if run else "",
            "1" if reset else "",
            secrets.token_urlsafe(6),
        )
        if answer == b"held":
            raise LedgerError(
                "another process is using the ledger: wait until its run ends; if it was killed, the ledger "
                f"is free in {math.ceil(details[0] / 1000)} s at most",
                retryable=True,
            )
        if answer == b"destination":
            raise LedgerError(
                f"the ledger belongs to {details[0].decode()}, not to {destination}: name another one, "
                "or reset it"
            )
        return None if destination is None and not reset else str(details[0].decode())

    async def note_source(self, name: str, fingerprint: str | None) -> bool | None:  # noqa: ARG002  (Redis need not know)
        """Note which source this run reads; its name is not kept."""
        answer = await self._store.read("HGET", "facts", "fingerprint")
        known = None if answer is None else answer.decode()
        self._check(await self._source(self._session, fingerprint or ""))
        return known != fingerprint if known and fingerprint else None

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads. `State.PENDING` may also be in the hands of a worker."""
        return await self._entries.recall(keys)

    async def enter(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Note that leads will be sent. What this job has entered before is left as it is."""
        for some in portions(leads):
            words: list[Argument] = []
            for key, payload in some:
                words += (self._connection.hashed(key), payload)
            self._check(await self._enter(self._session, *words))

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Note that a call with these leads is about to begin, in this process."""
        return self._entries.intend(keys)

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Note how a call ended. What a worker is sending is refused."""
        return self._entries.settle(leads)

    async def unsettled(self) -> list[Unsettled]:
        """The leads with an unknown outcome, but for those that a worker may be sending."""
        hashes: set[bytes] = set()
        cursor = 0
        while True:
            cursor, some = await self._store.read("SSCAN", "doubtful", cursor, "COUNT", AT_ONCE)
            hashes.update(some)
            if not cursor:
                break
        found = []
        async for each, answer in self._entries.look_up(hashes):
            if answer:
                state, reason, since = state_and_reason(answer)
                if state is State.UNKNOWN:
                    found.append(Unsettled(each.hex(), reason, since))
        return sorted(found, key=lambda each: (each.since, each.key))

    async def take(self, job: str, number: int) -> Chunk | None:
        """Take a chunk, for a worker. Whoever had it before can send nothing more of it.

        Args:
            job: its id.
            number: of the chunk.

        Returns:
            The chunk, to be used as context manager; ``None`` if the job is over or was stopped.

        Raises:
            LedgerError: Redis does not answer.
        """
        await self._check_disk(patient=True)
        attempt = await self._take(job, number, round(self._life * 1000))
        if attempt is None:
            return None
        return Chunk(self._store, job, number, attempt, life=self._life, durable=self._durable)

    async def ended(self, after: int) -> list[EndedChunk]:
        """The chunks that workers are done with.

        A chunk may be told twice, when a worker died just after it had ended it.

        Args:
            after: how many are known already.

        Returns:
            All later ones, in the order in which they ended.
        """
        answer = await self._store.read("LRANGE", "ended", after, -1)
        texts = [each.decode().partition(" ") for each in answer]
        return [EndedChunk(int(number), reason or None) for number, _, reason in texts]

    async def stop(self, reason: str) -> bool:
        """Have no more calls begin: of the job that this ledger was opened for, or of any if it is not open.

        Args:
            reason: in words without personal data. The first one counts.

        Returns:
            Whether there was a job.
        """
        return bool(await self._stop(self.job or "", reason))

    async def stopped(self) -> str | None:
        """Why the job was stopped, ``None`` if it was not.

        Raises:
            LedgerError: it is not the job that this ledger was opened for any more; or Redis does not answer.
        """
        job, reason = await self._store.read("HMGET", "job", "id", "stopped")
        if self.job is not None and job != self.job.encode():
            raise LedgerError(LOST)
        return None if reason is None else str(reason.decode())

    async def running(self) -> int:
        """How many chunks of the job workers have in hand; those of a killed worker until its lease ends."""
        own, _ = await self._running()
        return int(own)

    async def finish(self) -> None:
        """Forget the job, whose rows are all done. What is known of leads stays."""
        await self._entries.drain()
        self._check(await self._finish(self._session))
        self.job = None

    async def aclose(self) -> None:
        """Close the ledger; what was noted is written first."""
        await self._entries.drain()
        await self._release()
        await self._connection.aclose()

    def _entries_of(self, session: str) -> Entries:
        return Entries(
            self._store,
            recall=scripts.OPENER_RECALL,
            write=scripts.OPENER_WRITE,
            holder=(session,),
            refused="the outcome was not noted: the lead is not in the ledger, or a worker has it in hand",
            durable=self._durable,
        )

    async def _renew(self) -> object:
        return await self._store.script(scripts.RENEW, patient=False)(self._session, round(self._life * 1000))

    async def _release(self) -> None:
        if self._lease is not None:
            await self._lease.end()
        if self._session:
            with contextlib.suppress(LedgerError):  # It lapses by itself.
                await self._store.script(scripts.RELEASE, patient=False)(self._session)
        self._lease, self._session, self.job = None, "", None

    async def _wait_for_other_jobs(self) -> None:
        """So that no lead is in two calls at once."""
        told = False
        while (running := await self._running())[1]:
            if not told:
                told = True
                logger.info("%d chunks of an earlier run are still running", running[1])
            await asyncio.sleep(POLL)

    async def _check_disk(self, *, patient: bool) -> None:
        if self._durable and not self._checked:
            if not await self._store.ask(self._connection.can_be_durable, patient=patient):
                raise LedgerError(
                    "the ledger was asked to be durable, and Redis is not: it needs appendonly yes, and "
                    "Redis 7.2 or newer, or Valkey"
                )
            self._checked = True

    @staticmethod
    def _check(answer: object) -> None:
        if answer is None:
            raise LedgerError(LOST)

    def __repr__(self) -> str:
        return f"RedisLedger({self._name})"
