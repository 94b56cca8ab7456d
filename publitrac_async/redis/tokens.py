"""A token that all processes of an account share."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from publitrac_async.redis.connection import Connection, Unavailable
from publitrac_async.transport.auth import MemoryTokenStore, Token
from publitrac_async.transport.secret import Secret

#: Seconds after which the lock of a process that died in its log-in opens, and that others wait at most.
_LOCK_LIFE: Final = 10.0
_LOCK_POLL: Final = 0.05

#: Never backwards, and only the token that was used.
_SLIDE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('GETEX', KEYS[1], 'PX', ARGV[2])
end
"""
_DELETE_IF_EQUAL: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
"""


class RedisTokenStore:
    """A token in Redis, whose key lives as long as the token.

    Lives are told as remaining time, so no two clocks have to agree. Without Redis each process goes on
    with the token it knows, and logs in by itself when that ends: whether anything may leave is for the
    limiter to say. The token lies in Redis in the clear, like everything there.

    Args:
        connection: the account's Redis.
        clock: monotonic seconds.
    """

    def __init__(self, connection: Connection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._key = connection.key("token")
        self._clock = clock
        self._slide = connection.script(_SLIDE, "token")
        self._discard = connection.script(_DELETE_IF_EQUAL, "token")
        self._unlock = connection.script(_DELETE_IF_EQUAL, "log-in")
        self._memory = MemoryTokenStore()
        #: Discarded here while Redis did not answer.
        self._refused: Token | None = None

    async def load(self) -> Token | None:
        """The current token."""
        asked = self._clock()
        try:
            stored, life = await self._connection.ask(self._read)
        except Unavailable:
            return await self._memory.load()
        if stored is None or life <= 0:
            return None
        text = stored if isinstance(stored, str) else stored.decode()  # As the URL's options have it.
        ttl, _, value = text.partition(" ")
        token = Token(value=Secret(value, "token", header=True), ttl=float(ttl), expires_at=asked + life)
        if self._refused is not None and self._refused.value == token.value:
            await self.discard(token)
            return None
        await self._memory.save(token)
        return token

    async def save(self, token: Token) -> None:
        """Keep `token` as the current one."""
        self._refused = None
        await self._memory.save(token)
        life = self._milliseconds(token.expires_at)
        if life > 0:
            with contextlib.suppress(Unavailable):
                await self._connection.ask(
                    lambda: self._connection.client.set(self._key, _written(token), px=life)
                )

    async def touch(self, token: Token, expires_at: float) -> None:
        """`token` was used and lives until `expires_at`; ignored unless it is the current one."""
        await self._memory.touch(token, expires_at)
        life = self._milliseconds(expires_at)
        if life > 0:
            with contextlib.suppress(Unavailable):
                await self._slide(_written(token), life)

    async def discard(self, token: Token) -> None:
        """Forget `token`; ignored unless it is the current one."""
        await self._memory.discard(token)
        try:
            await self._discard(_written(token))
        except Unavailable:
            self._refused = token
        else:
            self._refused = None

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """One log-in at a time, of all processes. Without Redis, and after 10 s, everyone is let in."""
        key, mine = self._connection.key("log-in"), secrets.token_hex(8)
        try:
            held = await self._lock(key, mine)
        except Unavailable:
            held = False
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(Unavailable):
                    await self._unlock(mine)

    async def aclose(self) -> None:
        """Close the connections to Redis. They open again if the store is used again."""
        await self._connection.aclose()

    async def _lock(self, key: str, mine: str) -> bool:
        life = int(_LOCK_LIFE * 1000)
        patience = self._clock() + _LOCK_LIFE
        while self._clock() < patience:
            if await self._connection.ask(lambda: self._connection.client.set(key, mine, nx=True, px=life)):
                return True
            await asyncio.sleep(_LOCK_POLL)
        return False

    async def _read(self) -> tuple[bytes | str | None, float]:
        """What is stored, and the seconds it still lives."""
        async with self._connection.client.pipeline(transaction=True) as pipeline:
            pipeline.get(self._key)
            pipeline.pttl(self._key)
            stored, life = await pipeline.execute()
        return stored, life / 1000

    def _milliseconds(self, expires_at: float) -> int:
        return math.floor((expires_at - self._clock()) * 1000)

    def __repr__(self) -> str:
        return f"RedisTokenStore({self._key})"


def _written(token: Token) -> memoryview:
    """The token as it is stored; as a view, whose ``repr`` shows nothing to instrumentation of redis-py."""
    return memoryview(f"{token.ttl!r} {token.value.reveal()}".encode())
