"""A state store in Redis as another process has it."""

from __future__ import annotations

from typing import Any

from publitrac_async.bulk.state.redis.store import RedisStateStore
from publitrac_async.shared.redis.connection import DISK_TIMEOUT, RESPONSE_TIMEOUT, Connection


class OwnRedisState(RedisStateStore):
    """A state store with connections of its own, which `aclose` closes.

    Unlike the default, it does not wait for the disk: most servers of tests have none.
    """

    def __init__(self, url: str, *, account: str, durable: bool = False, **options: Any) -> None:
        self._name = ""  # Shown if what follows fails.
        connection = Connection(url, account, timeout=DISK_TIMEOUT if durable else RESPONSE_TIMEOUT)
        super().__init__(connection, durable=durable, **options)

    async def aclose(self) -> None:
        await super().aclose()
        await self._connection.aclose()
