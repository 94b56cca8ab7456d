"""Ledgers in Redis for tests, and what is asked of them."""

from __future__ import annotations

from typing import Any

from publitrac_async.bulk.ledger import Entry, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.redis import RedisLedger
from publitrac_async.redis.connection import Connection

from .server import Server

ADA, BEN, EVE = "ada@example.test", "ben@example.test", "eve@example.test"
FIRST, SECOND = b"first digest....", b"\x00\xff second ......"
OK = Outcome(State.OK)


class Ledgers:
    """Ledgers as several processes have them: each with connections of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._made: list[RedisLedger] = []

    def __call__(self, **options: Any) -> RedisLedger:
        self._made.append(RedisLedger(self.server.url, account="the-key", **options))
        return self._made[-1]

    async def opened(self, destination: str | None = "here", *, run: str = "", **options: Any) -> RedisLedger:
        ledger = self(**options)
        await ledger.open(destination, run=run)
        return ledger

    async def let_lapse(self) -> None:
        """As if nobody had renewed anything for as long as it lives."""
        await self.server.ask("HSET", self.key("lease"), "until", 1)
        for member in await self.server.ask("ZRANGE", self.key("running"), 0, -1):
            await self.server.ask("ZADD", self.key("running"), 1, member)

    def key(self, name: str) -> str:
        return Connection(self.server.url, "the-key").key(f"ledger:default:{name}")

    async def aclose(self) -> None:
        for each in self._made:
            await each.aclose()


async def known(ledger: Any, key: str = ADA) -> Entry:
    (entry,) = await ledger.recall([key])
    assert entry is not None
    return entry


async def state(ledger: Any, key: str = ADA) -> State:
    return (await known(ledger, key)).outcome.state


def job_of(ledger: RedisLedger) -> str:
    assert ledger.job is not None
    return ledger.job


async def job(ledgers: Ledgers, *keys: str, run: str = "one") -> RedisLedger:
    ledger = await ledgers.opened(run=run)
    await ledger.enter([(key, FIRST) for key in keys])
    return ledger
