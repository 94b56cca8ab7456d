"""State stores in Redis for tests, and helpers that inspect them."""

from __future__ import annotations

from typing import Any

from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.redis.claims import Lease
from publitrac_async.bulk.state.redis.store import RedisStateStore
from publitrac_async.shared.redis.connection import Connection
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState

ADA, BEN, EVE = "ada@example.test", "ben@example.test", "eve@example.test"
FIRST, SECOND = b"first digest....", b"\x00\xff second ......"
OK = Outcome(State.OK)


class Stores:
    """State stores as several processes have them: each with its own connections."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._made: list[RedisStateStore] = []

    def __call__(self, **options: Any) -> RedisStateStore:
        self._made.append(OwnRedisState(self.server.url, account="the-key", **options))
        return self._made[-1]

    async def opened(
        self, destination: str | None = "here", *, run: str = "", **options: Any
    ) -> RedisStateStore:
        store = self(**options)
        await store.open(destination, run=run)
        return store

    async def let_lapse(self) -> None:
        """As if nobody had renewed anything for as long as it lives."""
        await self.server.ask("HSET", self.key("lease"), "until", 1)
        for member in await self.server.ask("ZRANGE", self.key("running"), 0, -1):
            await self.server.ask("ZADD", self.key("running"), 1, member)

    def key(self, name: str) -> str:
        return Connection(self.server.url, "the-key").key(f"state:default:{name}")

    async def aclose(self) -> None:
        for each in self._made:
            await each.aclose()


async def known(store: Any, key: str = ADA) -> Entry:
    (entry,) = await store.lookup([key])
    assert entry is not None
    return entry


async def state(store: Any, key: str = ADA) -> State:
    return (await known(store, key)).outcome.state


def job_of(store: RedisStateStore) -> str:
    assert store.job is not None
    return store.job


async def job(stores: Stores, *keys: str, run: str = "one") -> RedisStateStore:
    store = await stores.opened(run=run)
    await store.plan([(key, FIRST) for key in keys])
    return store


def renewals(lease: Lease | None) -> list[object]:
    """A list that gets an item for each renewal of a lease from now on."""
    assert lease is not None
    renew, results = lease._renew, list[object]()

    async def counted() -> object:
        results.append(await renew())
        return results[-1]

    lease._renew = counted
    return results
