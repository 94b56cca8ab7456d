"""A state store in Redis as another process has it."""

from __future__ import annotations

from typing import Any

from publitrac_async.bulk import RedisStateStore
from publitrac_async.shared import SharedRedis


class OwnRedisState(RedisStateStore):
    """A state store with its own connections, which `aclose` closes.

    Unlike the default, it does not wait for the disk: most servers of tests have none.
    """

    def __init__(self, url: str, *, account: str, durable: bool = False, **options: Any) -> None:
        self._name = ""  # Shown if the next steps fail.
        self._shared = SharedRedis(url, account)
        super().__init__(self._shared, durable=durable, **options)

    async def aclose(self) -> None:
        await super().aclose()
        await self._shared.aclose()
