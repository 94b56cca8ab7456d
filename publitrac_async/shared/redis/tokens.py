"""Token store that all processes of an account share."""

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
from publitrac_async.transport.auth import MemoryTokenStore, Token
from publitrac_async.transport.secret import Secret

T = TypeVar("T")

#: Seconds until the lock of a killed process expires; the longest wait of other processes.
_LOCK_LIFE: Final = 10.0
_LOCK_POLL: Final = 0.05
#: Seconds of an outage after which a process without a token requests one for itself. One late response of a
#: slow Redis is no reason for it.
_PATIENCE: Final = 3.0
#: Seconds that Redis keeps a token at most.
_LONGEST_LIFE: Final = 30 * 24 * 3600.0
_LIFE_TOLERANCE: Final = 1.0

logger: Final = logging.getLogger("publitrac_async.shared")

_LOAD: Final = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"
#: Extends the lifetime of the token that was used; never shortens it.
_TOUCH: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('GETEX', KEYS[1], 'PX', ARGV[2])
end
"""
#: Returns the holder of the lock, and the token. The response to the first time may have been lost.
_LOCK: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local token = redis.pcall('GET', KEYS[2])
return {redis.call('GET', KEYS[1]), type(token) == 'string' and token or ''}
"""
_DELETE_IF_EQUAL: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
"""


class RedisTokenStore:
    """Token store in Redis; the key expires with the token; see `SharedRedis.tokens`.

    Lifetimes are stored as remaining time, so no two clocks have to agree. Without Redis each process
    continues with its token, and requests a separate one after that, if the outage lasts three seconds: the
    limiter decides if a request may be sent. Redis stores the token in clear text.

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
        self._refused: Token | None = None

    async def load(self) -> Token | None:
        """Return the current token, ``None`` without one."""
        sent = self._clock()
        stored: bytes | None = None
        life = 0
        damaged = False
        known = await self._memory.load()
        lasting = known is not None and known.expires_at > sent
        try:
            load = functools.partial(self._connection.run, _LOAD, (self._key,))
            sent, (stored, life) = await self._with_patience(load, wait=not lasting)
        except Damaged:
            damaged = True
        except Unavailable:
            return known
        token = None if stored is None or life <= 0 else _read(stored, sent + life / 1000, life / 1000)
        if token is None:
            if damaged or (stored is not None and life != 0):
                await self._drop_damaged(stored)
            return None
        if self._refused is not None and self._refused.value == token.value:
            await self.discard(token)
            return None
        await self._memory.save(token)
        return token

    async def save(self, token: Token) -> None:
        """Store `token` as the current one."""
        self._refused = None
        await self._memory.save(token)
        life = self._milliseconds(token.expires_at)
        if life > 0:
            save = functools.partial(self._connection.command, "SET", self._key, _written(token), "PX", life)
            with contextlib.suppress(Unavailable):
                await self._with_patience(save)

    async def touch(self, token: Token, expires_at: float) -> None:
        """Extend the lifetime of `token` to `expires_at`; ignored unless it is the current one."""
        await self._memory.touch(token, expires_at)
        life = self._milliseconds(expires_at)
        if life > 0:
            with contextlib.suppress(Unavailable):
                await self._connection.run(_TOUCH, (self._key,), _written(token), life)

    async def discard(self, token: Token) -> None:
        """Delete `token`; ignored unless it is the current one."""
        await self._memory.discard(token)
        try:
            await self._connection.run(_DELETE_IF_EQUAL, (self._key,), _written(token))
        except Unavailable:
            self._refused = token
        else:
            self._refused = None

    async def _drop_damaged(self, stored: bytes | None) -> None:
        """Delete a value that is no token, unless it was replaced meanwhile.

        Args:
            stored: the value, ``None`` if it is not even text.
        """
        logger.warning("the shared token in Redis is damaged: a new one is requested")
        with contextlib.suppress(Unavailable):
            if stored is None:
                await self._connection.command("DEL", self._key)
            else:
                await self._connection.run(_DELETE_IF_EQUAL, (self._key,), memoryview(stored))

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Allow one token request at a time, over all processes. Without Redis, and after 10 s, allow all.

        A wait ends also when another process has stored a token: that many processes need not take turns.
        """
        mine = secrets.token_hex(8)
        try:
            held = await self._acquire(mine)
        except Unavailable:
            held = False
        try:
            yield
        finally:
            if held:
                release = functools.partial(self._connection.run, _DELETE_IF_EQUAL, (self._lock_key,), mine)
                with contextlib.suppress(Unavailable):
                    await self._with_patience(release)

    async def _acquire(self, mine: str) -> bool:
        life = int(_LOCK_LIFE * 1000)
        known = await self._memory.load()
        ending = b"" if known is None else _written(known)
        deadline = self._clock() + _LOCK_LIFE
        while self._clock() < deadline:
            _, (holder, token) = await self._with_patience(
                functools.partial(self._connection.run, _LOCK, (self._lock_key, self._key), mine, life)
            )
            if holder == mine.encode():
                return True
            if token not in (b"", ending):
                return False
            await asyncio.sleep(_LOCK_POLL)
        return False

    async def _with_patience(
        self, request: Callable[[], Awaitable[T]], *, wait: bool = True
    ) -> tuple[float, T]:
        """Return the time at which a request was sent, and the response.

        With `wait`, repeat the request during the first seconds of an outage.

        Raises:
            Unavailable: Redis does not respond.
        """
        while True:
            sent = self._clock()
            try:
                return sent, await request()
            except Damaged:
                raise
            except Unavailable:
                connection = self._connection
                if not wait or connection.refusal or connection.silent_for >= _PATIENCE:
                    raise
            await asyncio.sleep(_LOCK_POLL)

    def _milliseconds(self, expires_at: float) -> int:
        return math.floor(min(expires_at - self._clock(), _LONGEST_LIFE) * 1000)

    def __repr__(self) -> str:
        return f"RedisTokenStore({self._key})"


def _read(stored: bytes, expires_at: float, life: float) -> Token | None:
    """Return the token of a stored form, ``None`` if it is damaged."""
    try:
        ttl, _, value = stored.decode().partition(" ")
        token = Token(value=Secret(value, "token", header=True), ttl=float(ttl), expires_at=expires_at)
    except (ValueError, ConfigurationError):
        return None
    # Each use begins the life anew, so the rest of it is never longer. NaN compares as damaged.
    return token if life - _LIFE_TOLERANCE <= token.ttl < math.inf else None


def _written(token: Token) -> memoryview:
    """Return the stored form of a token; a view, whose ``repr`` hides it from instrumentation of redis-py."""
    return memoryview(f"{token.ttl!r} {token.value.reveal()}".encode())
