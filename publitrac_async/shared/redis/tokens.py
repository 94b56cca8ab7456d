"""Token store that all processes of an account share, in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from publitrac_async.errors import ConfigurationError
from publitrac_async.shared.redis.connection import Connection, Damaged, Unavailable
from publitrac_async.transport.auth import MemoryTokenStore, Token, TokenLease
from publitrac_async.transport.secret import Secret

T = TypeVar("T")

#: Time until the lock of a killed process expires.
_LOCK_MILLISECONDS: Final = 10_000
_POLL: Final = 0.05
#: Seconds of an outage after which a process without a token requests one for itself. A single late response
#: of a slow Redis is no outage.
_OUTAGE_WAIT: Final = 3.0
#: Maximum seconds that Redis keeps a token.
_LONGEST_LIFE: Final = 30 * 24 * 3600.0
_LIFE_TOLERANCE: Final = 1.0

logger: Final = logging.getLogger("publitrac_async.shared")

#: Prefix of a token that the service rejected. It is kept, since another process may still have the token.
_REJECTED: Final = b"rejected "

#: Returns the current token. If Redis has lost it, stores the token that this process knows.
_LOAD: Final = """
local stored = redis.call('GET', KEYS[1])
local lost = not stored or string.sub(stored, 1, 9) == 'rejected ' and stored ~= 'rejected ' .. ARGV[1]
if lost and ARGV[1] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  stored = ARGV[1]
end
return {stored, redis.call('PTTL', KEYS[1])}
"""
#: Marks a token as rejected, unless another one has replaced it.
_REJECT: Final = """
local stored = redis.call('GET', KEYS[1])
if not stored or stored == ARGV[1] then
  redis.call('SET', KEYS[1], 'rejected ' .. ARGV[1], 'PX', ARGV[2])
end
"""
#: Returns 1 if a token request may be sent: no other one is in flight, and no other process has replaced the
#: given token. Takes the lock from a process whose token request still waits for the limiter.
_CONFIRM: Final = """
local stored = redis.call('GET', KEYS[2])
if stored and stored ~= ARGV[3] and string.sub(stored, 1, 9) ~= 'rejected ' then
  return 0
end
local holder = redis.call('GET', KEYS[1])
local mine = ARGV[1] .. ' sent'
if holder and holder ~= mine and string.sub(holder, -5) == ' sent' then
  return 0
end
redis.call('SET', KEYS[1], mine, 'PX', ARGV[2])
return 1
"""
#: Extends the lifetime of the token that was used; never shortens it.
_TOUCH: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('GETEX', KEYS[1], 'PX', ARGV[2])
end
"""
#: Returns the holder of the lock, and the token. The holder may be this process, if a response was lost.
_LOCK: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local token = redis.pcall('GET', KEYS[2])
return {redis.call('GET', KEYS[1]), type(token) == 'string' and token or ''}
"""
_RELEASE: Final = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or holder == ARGV[1] .. ' sent' then
  redis.call('DEL', KEYS[1])
end
"""
_DELETE_IF_EQUAL: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
"""


class RedisTokenStore:
    """Token store in Redis; see `SharedRedis.tokens`. The key expires with the token.

    Lifetimes are stored as remaining time, so no two clocks need to agree. In an outage of Redis each process
    continues with its token. If Redis has lost the token, the first process that notices stores it again, and
    the others use it. A process without a token waits for three seconds of an outage, then requests its own,
    if the limiter permits it. The lock is confirmed right before the request is sent, so the end of an outage
    causes one token request, not one per process. Redis stores the token in clear text.

    Args:
        connection: connection of the account, which the caller closes.
        clock: monotonic seconds.
    """

    def __init__(self, connection: Connection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._key, self._lock_key = connection.key("token"), connection.key("token-request")
        self._clock = clock
        self._memory = MemoryTokenStore()
        #: Token that was discarded during an outage of Redis.
        self._discarded: Token | None = None

    async def load(self) -> Token | None:
        """Return the current token, ``None`` without one."""
        stored: bytes | None = None
        sent, life = 0.0, 0
        damaged = False
        known = await self._memory.load()
        left = 0 if known is None else self._milliseconds(known.expires_at)
        mine = _encode(known) if known is not None and left > 0 else memoryview(b"")
        try:
            sent, (stored, life) = await _retry_in_outage(
                self._connection, functools.partial(self._request, mine, left), wait=left <= 0
            )
        except Damaged:
            damaged = True
        except Unavailable:
            return known
        if stored is not None and stored.startswith(_REJECTED):
            if stored == _REJECTED + mine:
                self._memory = MemoryTokenStore()
            return None
        token = None if stored is None or life <= 0 else _decode(stored, sent + life / 1000, life / 1000)
        if token is None:
            if damaged or (stored is not None and life != 0):
                await self._drop_damaged(stored)
            return None
        if self._discarded is not None and self._discarded.value == token.value:
            await self.discard(token)
            return None
        await self._memory.save(token)
        return token

    async def _request(self, mine: memoryview, left: int) -> tuple[float, tuple[bytes | None, int]]:
        """Return the time of a request, the stored value, and its remaining milliseconds."""
        sent = self._clock()
        return sent, await self._connection.run(_LOAD, (self._key,), mine, left)

    async def save(self, token: Token) -> None:
        """Store `token` as the current one."""
        self._discarded = None
        await self._memory.save(token)
        life = self._milliseconds(token.expires_at)
        if life > 0:
            save = functools.partial(self._connection.command, "SET", self._key, _encode(token), "PX", life)
            with contextlib.suppress(Unavailable):
                await _retry_in_outage(self._connection, save)

    async def touch(self, token: Token, expires_at: float) -> None:
        """Extend the lifetime of `token` to `expires_at`; ignored unless it is the current one."""
        await self._memory.touch(token, expires_at)
        life = self._milliseconds(expires_at)
        if life > 0:
            with contextlib.suppress(Unavailable):
                await self._connection.run(_TOUCH, (self._key,), _encode(token), life)

    async def discard(self, token: Token) -> None:
        """Delete `token`; ignored unless it is the current one."""
        await self._memory.discard(token)
        life = max(1, math.floor(min(token.ttl, _LONGEST_LIFE) * 1000))
        try:
            await self._connection.run(_REJECT, (self._key,), _encode(token), life)
        except Unavailable:
            self._discarded = token
        else:
            self._discarded = None

    async def _drop_damaged(self, stored: bytes | None) -> None:
        """Delete a value that is not a token, unless it was replaced meanwhile.

        Args:
            stored: the value, ``None`` if it is not a string.
        """
        logger.warning("the shared token in Redis is damaged: a new one is requested")
        with contextlib.suppress(Unavailable):
            if stored is None:
                await self._connection.command("DEL", self._key)
            else:
                await self._connection.run(_DELETE_IF_EQUAL, (self._key,), memoryview(stored))

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[TokenLease]:
        """Allow one token request at a time, over all processes. During an outage of Redis, allow all.

        A wait also ends when another process has stored a token, so many processes need not take turns.
        """
        known = await self._memory.load()
        ending = b"" if known is None else bytes(_encode(known))
        lease = _Lease(self._connection, self._lock_key, self._key, ending)
        try:
            with contextlib.suppress(Unavailable):
                await lease.acquire()
            yield lease
        finally:
            await lease.release()

    def _milliseconds(self, expires_at: float) -> int:
        return math.floor(min(expires_at - self._clock(), _LONGEST_LIFE) * 1000)

    def __repr__(self) -> str:
        return f"RedisTokenStore({self._key})"


class _Lease:
    """Right to request a token; expires with the lock.

    Args:
        connection: connection of the account.
        lock: key of the lock.
        token: key of the token.
        ending: stored form of the token that is to be replaced.
    """

    def __init__(self, connection: Connection, lock: str, token: str, ending: bytes) -> None:
        self._connection = connection
        self._keys = (lock, token)
        self._mine = secrets.token_hex(8)
        self._held = False
        self._ending = ending

    async def acquire(self) -> None:
        """Wait until no other process requests a token, or one has stored a token.

        Raises:
            Unavailable: Redis does not respond.
        """
        while True:
            lock = functools.partial(self._connection.run, _LOCK, self._keys, self._mine, _LOCK_MILLISECONDS)
            holder, stored = await _retry_in_outage(self._connection, lock)
            if holder == self._mine.encode():
                self._held, self._ending = True, stored
                return
            if stored not in (b"", self._ending) and not stored.startswith(_REJECTED):
                return
            await asyncio.sleep(_POLL)

    async def confirm(self) -> bool:
        """Return True if this process may request a token now; see `TokenLease.confirm`."""
        try:
            confirmed = await self._connection.run(
                _CONFIRM, self._keys, self._mine, _LOCK_MILLISECONDS, memoryview(self._ending)
            )
        except Unavailable:
            return True
        self._held = bool(confirmed)
        return self._held

    async def release(self) -> None:
        """Let another process request a token."""
        if self._held:
            with contextlib.suppress(Unavailable):
                release = functools.partial(self._connection.run, _RELEASE, self._keys[:1], self._mine)
                await _retry_in_outage(self._connection, release)


async def _retry_in_outage(
    connection: Connection, request: Callable[[], Awaitable[T]], *, wait: bool = True
) -> T:
    """Return the response of a request; with `wait`, repeat it during the first seconds of an outage.

    Raises:
        Unavailable: Redis does not respond.
    """
    while True:
        try:
            return await request()
        except Damaged:
            raise
        except Unavailable:
            if not wait or connection.refusal or connection.silent_for >= _OUTAGE_WAIT:
                raise
        await asyncio.sleep(_POLL)


def _decode(stored: bytes, expires_at: float, life: float) -> Token | None:
    """Return the token of a stored form, ``None`` if it is damaged."""
    try:
        ttl, _, value = stored.decode().partition(" ")
        token = Token(value=Secret(value, "token", header=True), ttl=float(ttl), expires_at=expires_at)
    except (ValueError, ConfigurationError):
        return None
    # Each use restarts the lifetime, so the remaining time is never longer. NaN fails the comparison.
    return token if life - _LIFE_TOLERANCE <= token.ttl < math.inf else None


def _encode(token: Token) -> memoryview:
    """Return the stored form of a token: a view, whose ``repr`` hides it from instrumentation of redis-py."""
    return memoryview(f"{token.ttl!r} {token.value.reveal()}".encode())
