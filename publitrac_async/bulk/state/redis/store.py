"""The state store in Redis or Valkey, which several hosts share."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import math
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from publitrac_async.bulk.errors import StateStoreError, StateStoreInUse
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry, UnknownRow
from publitrac_async.bulk.state.progress import Failure, RunProgress, failures_to_json
from publitrac_async.bulk.state.redis import scripts
from publitrac_async.bulk.state.redis.claims import Lease, RedisChunkClaim
from publitrac_async.bulk.state.redis.entries import BATCH, LOST, Entries, batches, state_and_reason
from publitrac_async.bulk.state.redis.keys import POLL, StateKeys, reading
from publitrac_async.bulk.state.redis.progress import read_failures, read_progress
from publitrac_async.bulk.state.redis.reports import RedisReports
from publitrac_async.bulk.state.shared import ChunkResult
from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.redis.connection import Argument
from publitrac_async.shared.redis.rights import examine
from publitrac_async.transport.secret import Secret

logger: Final = logging.getLogger("publitrac_async.shared")

if TYPE_CHECKING:
    from publitrac_async.shared.redis.backend import SharedRedis

#: Seconds until a killed process loses the state store or its chunks.
LEASE: Final = 30.0
#: Seconds of an outage of Redis that a run survives.
TIMEOUT: Final = 30.0
#: Key of the set of all names of state stores of an account.
STATE_NAMES: Final = "state-names"


class RedisStateStore:
    """A state store in Redis: for runs from any host, one at a time, and for runs on many hosts.

    ::

        async with SharedRedis(url, account=key) as shared:
            await sync_leads(source, publitrac.v2, state=RedisStateStore(shared))

    One process opens it; workers claim chunks of its run from further instances, which they do not open.
    Redis holds keyed hashes instead of e-mail addresses.

    Level of durability (see `StateStore`): disk, which needs ``appendonly yes`` and Redis 7.2 or Valkey. With
    ``durable=False``: server. A crash of the server then loses the last second, and calls of that second are
    sent again. In both cases Redis must not evict keys (``maxmemory-policy noeviction``).

    Args:
        shared: Redis and account; the caller closes it.
        name: name of the state store; each destination of the account needs one of its own.
        durable: before each call, wait until changes are on the disk of the server.
        lease: seconds until the claims of a killed process expire.
        timeout: seconds to wait while Redis does not respond, before the run ends; ``None`` without a limit.

    Raises:
        ConfigurationError: a setting is unusable.
    """

    def __init__(
        self,
        shared: SharedRedis,
        name: str = "default",
        *,
        durable: bool = True,
        lease: float = LEASE,
        timeout: float | None = TIMEOUT,
    ) -> None:
        self._name = name
        if not hasattr(shared, "connect"):
            raise ConfigurationError("shared must be a SharedRedis, which holds URL and account")
        if not lease > 0 or not (timeout is None or timeout >= 0):
            raise ConfigurationError("lease must be above 0 s, timeout at least 0 s, or None for no limit")
        self._connection = connection = shared.connect(durable=durable)
        self._keys = StateKeys(connection, name, timeout=timeout)
        self._names = connection.key(STATE_NAMES)
        self._durable = durable
        self._checked = False
        self._life = lease
        self._lease: Lease | None = None
        self._session = ""
        self._entries = self._entries_of("")
        self.queue: str = f"{connection.key(name)}:queue"
        self.queue_url: Secret = connection.url
        self.job: str | None = None
        self.reports: RedisReports = RedisReports(self._keys, name)

    async def check(self, *, queue: bool = False) -> None:
        """Try the commands and rights that this state store needs.

        Args:
            queue: try those of the workers' queue as well.

        Raises:
            ConfigurationError: Redis is unsuitable: the user lacks rights, or Redis may evict keys, is a
                replica or in cluster mode.
            StateStoreError: Redis does not respond.
        """
        problems = await self._keys.ask(
            lambda: examine(
                self._connection, state=True, queue=self.queue if queue else None, durable=self._durable
            ),
            wait=queue,
        )
        for problem in problems:
            if problem.fatal:
                raise ConfigurationError(f"the Redis of the state store: {problem.text}")
            logger.warning("the Redis of the state store: %s", problem.text)

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:
        """Open the state store for this process exclusively; see `StateStore.open`.

        If it replaces another run whose workers have calls in flight, it waits for these calls.

        Args:
            destination: destination of the leads. ``None``: a run of workers continues.
            run: fingerprint of the run. A run with the same fingerprint is joined, unless it was stopped or
                has ended. An empty fingerprint joins no run.
            reset: delete all entries first.

        Raises:
            StateStoreError: the state store is in use, belongs to another destination, or Redis does not
                respond.
            ConfigurationError: Redis is unsuitable; see `check`.
        """
        if self._session:
            raise StateStoreError("this state store is open already: close it first")
        self._session = session = secrets.token_urlsafe(9)
        self._entries = self._entries_of(session)
        try:
            await self._keys.wait_until_started()
            await self.check()
            await self._check_disk(wait=False)
            self.job = await self._acquire(destination, run, reset=reset)
            await self._keys.ask(lambda: self._connection.command("SADD", self._names, self._name))
            self._lease = Lease(self._life, self._renew)
            if self.job is not None:
                await self._wait_for_other_jobs()
            if reset:
                self._check(await self._keys.run(scripts.RESET, session, destination or ""))
        except BaseException:
            await self.aclose()
            raise

    async def _acquire(self, destination: str | None, run: str, *, reset: bool) -> str | None:
        """Acquire the lease; return the id of the job."""
        result, *details = await self._keys.run(
            scripts.OPEN,
            self._session,
            round(self._life * 1000),
            destination or "",
            self._connection.hashed(run).hex() if run else "",
            "1" if reset else "",
            secrets.token_urlsafe(6),
            wait=False,
        )
        if result == b"held":
            raise StateStoreInUse(
                "another process is using the state store: wait until its run ends; if it was killed, the "
                f"state store is free in {math.ceil(details[0] / 1000)} s at most",
                retryable=True,
            )
        with reading():
            text = details[0].decode() if details and details[0] is not None else ""
        if result == b"destination":
            raise StateStoreError(
                f"the state store belongs to {text}, not to {destination}: name another one, or reset it"
            )
        return None if destination is None and not reset else str(text)

    async def note_source(self, name: str, source_hash: str | None) -> bool | None:  # noqa: ARG002  (the name may be personal data)
        """Record the source of this run by its hash; see `StateStore.note_source`."""
        found = await self._keys.read("HGET", "facts", "source_hash")
        with reading():
            known = None if found is None else found.decode()
        self._check(await self._keys.run(scripts.NOTE_SOURCE, self._session, source_hash or ""))
        return known != source_hash if known and source_hash else None

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads. `State.PENDING` includes leads that a worker has claimed."""
        return await self._entries.lookup(keys)

    async def plan(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Record the leads to be sent. Leads that this job has already planned keep their state."""
        for batch in batches(leads):
            arguments: list[Argument] = []
            for key, content_hash in batch:
                arguments += (self._connection.hashed(key), content_hash)
            self._check(await self._keys.run(scripts.OPENER_PLAN, self._session, *arguments))

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Record that a call of this process is about to start; see `StateWriter.begin`."""
        return self._entries.begin(keys)

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Record the outcomes of a call; fails for leads that a worker is sending."""
        return self._entries.complete(leads)

    async def unknown_rows(self) -> list[UnknownRow]:
        """Return the leads with an unknown outcome, except leads that a worker may be sending."""
        hashes: set[bytes] = set()
        cursor = 0
        while True:
            cursor, some = await self._keys.read("SSCAN", "unresolved", cursor, "COUNT", BATCH)
            hashes.update(some)
            if not cursor:
                break
        rows = []
        async for each, found in self._entries.lookup_hashes([*hashes]):
            if found:
                with reading():
                    state, reason, since = state_and_reason(found)
                if state is State.UNKNOWN:
                    rows.append(UnknownRow(each.hex(), reason, since))
        return sorted(rows, key=lambda row: (row.since, row.key))

    def sign(self, task: str) -> str:
        """Return a task with a signature, by a key that is derived from the account."""
        return f"{self._connection.signature(f'{self.queue} {task}')} {task}"

    def verified(self, signed: str) -> str | None:
        """Return the task, ``None`` if its signature is not that of this account and queue."""
        signature, _, task = signed.partition(" ")
        try:
            expected = self._connection.signature(f"{self.queue} {task}")
        except UnicodeEncodeError:
            return None
        return task if hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()) else None

    async def claim(self, job: str, number: int) -> RedisChunkClaim | None:
        """Claim a chunk for a worker. A worker that claimed it earlier can start no more calls.

        Args:
            job: id of the job.
            number: number of the chunk.

        Returns:
            The claim, a context manager; ``None`` if the job has ended or was stopped.

        Raises:
            StateStoreError: Redis does not respond.
        """
        await self._check_disk(wait=True)
        life = round(self._life * 1000)
        attempt = await self._keys.run(scripts.CLAIM, job, number, life, on_disk=self._durable)
        if attempt is None:
            return None
        return RedisChunkClaim(self._keys, job, number, attempt, life=self._life, durable=self._durable)

    async def results(self, after: int) -> list[ChunkResult]:
        """Return the results of ended chunks in the order of their ends, except the first `after`.

        A chunk occurs twice if a worker was killed just after its end.
        """
        found = await self._keys.read("LRANGE", "ended", after, -1)
        with reading():
            texts = [each.decode().partition(" ") for each in found]
            return [ChunkResult(int(number), reason or None) for number, _, reason in texts]

    async def stop(self, reason: str) -> bool:
        """Prevent further calls of the job of this state store, or of the current job if it is not open.

        Args:
            reason: reason, without personal data. If a job is stopped twice, the first reason is kept.

        Returns:
            False if there is no job.
        """
        return bool(await self._keys.run(scripts.STOP, self.job or "", reason))

    async def stopped(self) -> str | None:
        """Return the reason why the job was stopped, ``None`` if it was not.

        Raises:
            StateStoreError: another job has replaced the job of this state store, or Redis does not respond.
        """
        job, reason = await self._keys.read("HMGET", "job", "id", "stopped")
        if self.job is not None and job != self.job.encode():
            raise StateStoreError(LOST)
        with reading():
            return None if reason is None else str(reason.decode())

    async def is_current(self, job: str) -> bool:
        """Return True while a job is the current one and was not stopped."""
        current, reason = await self._keys.read("HMGET", "job", "id", "stopped")
        return bool(current == job.encode() and reason is None)

    async def claimed(self) -> frozenset[int]:
        """Return the numbers of the job's claimed chunks; see `SharedStateStore.claimed`."""
        own, _ = await self._keys.run(scripts.RUNNING)
        with reading():
            return frozenset(int(number) for number in own)

    async def note_rows(self, pending: int, refused: Sequence[Failure]) -> None:
        """Record the number of rows to be sent, and the rows rejected before that, for `progress`."""
        fields: list[Argument] = []
        for number, some in enumerate(batches(refused)):
            fields += (f"refused:{number}", failures_to_json(some))
        count = sum(len(each.lines) for each in refused)
        self._check(await self._keys.run(scripts.NOTE_ROWS, self._session, pending, count, *fields))

    async def names(self) -> list[str]:
        """Return the names of all state stores of the account that a run has opened.

        Raises:
            StateStoreError: Redis does not respond.
            ConfigurationError: it is a node of a Redis Cluster.
        """
        await self._keys.check_mode()
        found = await self._keys.ask(lambda: self._connection.command("SMEMBERS", self._names))
        with reading():
            return sorted(name.decode() for name in found)

    async def progress(self) -> RunProgress | None:
        """Return the progress of the current or last run, ``None`` if there was none. Needs no `open`.

        Raises:
            StateStoreError: Redis does not respond.
        """
        await self._keys.check_mode()
        return await read_progress(self._keys, self._name)

    def failures(self) -> AsyncIterator[Failure]:
        """Iterate over the failed rows of the current or last run with workers. Needs no `open`.

        The failed rows of a chunk are added when the chunk has ended.

        Raises:
            StateStoreError: Redis does not respond.
        """
        return read_failures(self._keys)

    async def finish(self) -> None:
        """Delete the job after its last row. Entries of leads remain."""
        await self._entries.drain()
        self._check(await self._keys.run(scripts.FINISH, self._session))
        self.job = None

    async def aclose(self) -> None:
        """Write pending changes and release the state store, which can be opened again."""
        await self._entries.drain()
        if self._lease is not None:
            await self._lease.end()
        if self._session:
            with contextlib.suppress(StateStoreError, ConfigurationError):  # The lease expires anyway.
                await self._keys.run(scripts.RELEASE, self._session, wait=False)
        self._lease, self._session, self.job = None, "", None

    def _entries_of(self, session: str) -> Entries:
        return Entries(
            self._keys,
            lookup=scripts.OPENER_LOOKUP,
            write=scripts.OPENER_WRITE,
            holder=(session,),
            not_recorded="the outcome was not recorded: the lead has no entry, or a worker has claimed it",
            durable=self._durable,
        )

    async def _renew(self) -> object:
        return await self._keys.run(scripts.RENEW, self._session, round(self._life * 1000), wait=False)

    async def _wait_for_other_jobs(self) -> None:
        """Wait for the calls of other jobs, so that no lead is in two calls at once."""
        logged = False
        while others := (await self._keys.run(scripts.RUNNING))[1]:
            if not logged:
                logged = True
                logger.info("%d chunks of an earlier run are still running", others)
            await asyncio.sleep(POLL)

    async def _check_disk(self, *, wait: bool) -> None:
        if self._durable and not self._checked:
            if not await self._keys.ask(self._connection.supports_waiting_for_disk, wait=wait):
                raise StateStoreError(
                    "Redis is not durable: set appendonly yes (Redis 7.2 or newer, or Valkey), or "
                    "durable=False if a crash of the server may lose its last second"
                )
            self._checked = True

    @staticmethod
    def _check(result: object) -> None:
        if result is None:
            raise StateStoreError(LOST)

    def __repr__(self) -> str:
        return f"RedisStateStore({self._name})"
