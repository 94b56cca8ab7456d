"""Limit on the requests in flight of all processes of an account, in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from typing import Any, Final

from publitrac_async.errors import ConfigurationError, LimiterUnavailable
from publitrac_async.shared.redis.connection import RETRY_AFTER, Connection, Unavailable

#: Mean seconds between two requests for a slot. They vary, or one process would always be the first.
_POLL: Final = 0.05
#: Milliseconds until the slots of a killed process are free, and seconds between two renewals.
_LIFE: Final = 15_000
_RENEWAL: Final = 5.0

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
"""
#: redis-py may run this script twice, if the first response is lost.
_TAKE: Final = f"""{_NOW}
redis.call('ZADD', KEYS[1], now + life, ARGV[2])
redis.call('PEXPIRE', KEYS[1], life)
if redis.call('ZCARD', KEYS[1]) <= tonumber(ARGV[3]) then
  return 1
end
redis.call('ZADD', KEYS[1], 0, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0)
return 0
"""
_GIVE: Final = """
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0)
"""
_RENEW: Final = f"""{_NOW}
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], now + life, ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], life)
"""


class RedisSlots:
    """Slots for requests in flight. Those of a killed process are free after 15 seconds.

    After Redis lost its data, more requests may be in flight for 5 seconds.

    Args:
        connection: connection of the account, which the caller closes.
        count: requests in flight at once, of all processes together.
        optional: send requests without a slot while Redis does not respond.
    """

    def __init__(self, connection: Connection, count: int, *, optional: bool = False) -> None:
        self._connection = connection
        self._count = count
        self._optional = optional
        self._key = connection.key("slots")
        self._lock = asyncio.Lock()
        self._held: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.Task[None] | None = None

    async def take(self) -> str:
        """Wait for a slot; callers of this process are served in order.

        Raises:
            LimiterUnavailable: Redis does not respond.
            ConfigurationError: Redis refuses this process.
        """
        slot = secrets.token_hex(8)
        async with self._lock:
            try:
                while not await self._take(slot):
                    await asyncio.sleep(2 * _POLL * random.random())  # noqa: S311  (spread over time, not secrecy)
            except asyncio.CancelledError:
                self.give(slot)
                raise
        self._held.add(slot)
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._keep(), name="publitrac_async slots")
        return slot

    def give(self, slot: str) -> None:
        """Release a slot."""
        self._held.discard(slot)
        task = asyncio.create_task(self._give(slot), name="publitrac_async slot")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def renew(self) -> None:
        """Extend the lifetime of the slots of this process.

        Raises:
            Unavailable: Redis does not respond.
        """
        if self._held:
            await self._run(_RENEW, _LIFE, *self._held)

    async def aclose(self) -> None:
        """Release all slots, and end the renewal."""
        for slot in [*self._held]:
            self.give(slot)
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
            self._renewal = None
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _take(self, slot: str) -> bool:
        try:
            return bool(await self._run(_TAKE, _LIFE, slot, self._count))
        except Unavailable as error:
            failure = str(error)
        if self._connection.refusal:
            raise ConfigurationError(f"the Redis of the shared rate limit: {self._connection.refusal}")
        if self._optional:
            return True
        raise LimiterUnavailable(
            f"the shared limit on calls in flight in Redis is unreachable ({failure})",
            retry_after=RETRY_AFTER,
        )

    async def _give(self, slot: str) -> None:
        with contextlib.suppress(Unavailable):  # The slot expires after its lifetime.
            await self._run(_GIVE, slot)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL)
            with contextlib.suppress(Unavailable):
                await self.renew()

    async def _run(self, script: str, *arguments: str | int) -> Any:
        return await self._connection.run(script, (self._key,), *arguments)
