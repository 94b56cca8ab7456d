"""A server that responds with an error for a while: nothing is sent, and the error names its state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import BusyLoadingError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as NoConnection

from publitrac_async import ConfigurationError, LimiterUnavailable
from publitrac_async.bulk import RedisStateStore, StateStoreError
from publitrac_async.bulk.state.redis.keys import StateKeys
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis.connection import Connection, _kind
from tests.support.clock import now, virtual
from tests.support.redis_server import Server, free_port

STATES = {
    "OOM: its memory is full": ("CONFIG", "SET", "maxmemory", "1"),
    "READONLY: it is a read-only replica": ("REPLICAOF", "127.0.0.1", "1"),
    "NOREPLICAS: it has too few replicas": ("CONFIG", "SET", "min-replicas-to-write", "1"),
    "BUSY: a script of another program runs too long": ("EVAL", "while true do end", "0"),
}
REPAIRS = (
    ("SCRIPT", "KILL"),
    ("REPLICAOF", "NO", "ONE"),
    ("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0"),
)


@pytest.fixture(params=STATES)
async def state(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[str]:
    """Bring the server into a state; return the words for it."""
    await server.ask("CONFIG", "SET", "busy-reply-threshold", "1")
    change = asyncio.create_task(server.ask(*STATES[request.param]))
    await asyncio.sleep(0.05)
    yield request.param
    for repair in REPAIRS:
        await asyncio.gather(server.ask(*repair), return_exceptions=True)
    await asyncio.gather(change, return_exceptions=True)


async def test_the_state_is_named(server: Server, state: str) -> None:
    async with SharedRedis(server.url, account="the-key") as shared, asyncio.timeout(10):
        if "OOM" not in state:  # The limiter still works: its script begins with a command that frees memory.
            with pytest.raises(LimiterUnavailable, match=state):
                await shared.limiter.acquire()
        words = "read-only replica" if "READONLY" in state else state
        with pytest.raises((StateStoreError, ConfigurationError), match=words):
            await RedisStateStore(shared, durable=False, timeout=0.0).open("here")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            ResponseError("MISCONF Redis is configured to save"),
            "MISCONF: it cannot write to its disk",
        ),
        (BusyLoadingError("Redis is loading the dataset in memory"), "LOADING: it is loading its data"),
        # Redis 6.2, within a script.
        (
            ResponseError("Error running script: @user_script:9: @user_script: 9: -OOM command not"),
            "OOM: its memory is full",
        ),
        (NoPermissionError("this user has no permissions to run the 'set' command"), "NoPermissionError"),
        (ResponseError("unknown command"), "ResponseError"),
        (ResponseError("DB index is out of range"), "NoDatabase"),
        (
            NoConnection("Error 1: [SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)."),
            "CERTIFICATE_VERIFY_FAILED",
        ),
        (NoConnection("(1, '[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] ..."), "CERTIFICATE_REQUIRED"),
    ],
)
def test_codes_are_found_in_every_version(error: Exception, kind: str) -> None:
    assert _kind(error) == kind


async def test_a_wrong_password_is_not_waited_for(server: Server) -> None:
    url = server.url.replace("redis://", "redis://nobody:wrong@")
    async with asyncio.timeout(10), SharedRedis(url, account="the-key") as shared:
        with pytest.raises(ConfigurationError, match="refuses the user or password"):
            await RedisStateStore(shared).stopped()
        with pytest.raises(ConfigurationError, match="refuses the user or password"):
            await RedisStateStore(shared).open("here")


class _Starting(Connection):
    """A connection to a server that reads its data until a time of the virtual clock."""

    until = 0.0

    async def command(self, command: str, key: str, *arguments: Any) -> Any:
        async def ask() -> None:
            if now() < self.until:
                raise BusyLoadingError("Redis is loading the dataset in memory")
            raise NoConnection

        return await self._attempt(ask)


@pytest.mark.parametrize(("starts_in", "waits"), [(8.0, 8.0), (60.0, 30.0), (0.0, 0.0)])
def test_a_server_that_reads_its_data_is_waited_for_at_the_start(starts_in: float, waits: float) -> None:
    @virtual
    async def test() -> None:
        connection = _Starting("redis://localhost", "the-key", clock=now)
        connection.until = (begun := now()) + starts_in
        await StateKeys(connection, "default", timeout=30.0, clock=now).wait_until_started()
        assert waits <= now() - begun <= waits + 1.5

    test()


async def test_a_database_that_does_not_exist_is_not_waited_for(server: Server) -> None:
    async with asyncio.timeout(10), SharedRedis(f"{server.url}/99", account="the-key") as shared:
        with pytest.raises(ConfigurationError, match="does not have the database number of the URL"):
            await RedisStateStore(shared).stopped()


async def test_an_unreachable_server_is_waited_for() -> None:
    async with SharedRedis(f"redis://127.0.0.1:{free_port()}", account="the-key") as shared:
        with pytest.raises(StateStoreError, match="does not respond"):
            await RedisStateStore(shared, timeout=0.2).stopped()
