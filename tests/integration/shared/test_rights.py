"""Any Redis that a company may have: users with few rights, eviction, replicas, Sentinels, clusters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, PublitracClient
from publitrac_async.bulk import RedisStateStore
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis.connection import Connection, Unavailable
from publitrac_async.shared.redis.rights import RedisFault, examine
from tests.support.clients import EAGER, lead
from tests.support.redis_server import Server, free_port
from tests.support.sinks import RecordingSink
from tests.support.vendor import Vendor
from tests.support.wire import RawServer

ACCOUNT = "the-key"
#: The rule of the guide.
RIGHTS = [
    *("+@read", "+@write", "+@scripting", "+@stream", "+@pubsub", "+@connection", "+@transaction"),
    *("+time", "+info", "+waitaof"),
]


class Users:
    """Creates a user with some rights, and returns its URL."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, *rules: str) -> str:
        await self._server.ask("ACL", "SETUSER", "app", "reset", "on", ">pass-word-1", *rules)
        return self._server.url.replace("redis://", "redis://app:pass-word-1@")


@pytest.fixture
async def user(server: Server) -> AsyncIterator[Users]:
    yield Users(server)
    await server.ask("ACL", "DELUSER", "app")


async def problems(url: str, **options: Any) -> list[RedisFault]:
    connection = Connection(url, ACCOUNT)
    try:
        return await examine(connection, **options)
    finally:
        await connection.aclose()


def queue_of(url: str) -> str:
    return f"{Connection(url, ACCOUNT).key('default')}:queue"


async def test_nothing_is_wrong_with_the_rights_of_the_guide_and_nothing_is_left(
    server: Server, user: Users
) -> None:
    pattern = f"&{queue_of(server.url)}:cancel:*"
    for channels in (["&*"], ["&publitrac:*", pattern]):
        url = await user("~publitrac:*", *channels, *RIGHTS)
        assert await problems(url, queue=queue_of(url), state=True) == []
    assert await problems(await user("~publitrac:*", "resetchannels", *RIGHTS)) == []
    assert await server.keys() == []


async def test_a_user_for_limit_and_token_reaches_neither_queue_nor_state(
    server: Server, user: Users
) -> None:
    names = ("rate", "pause", "processes", "token", "token-request", "check-*")
    keys = [f"~publitrac:*:{name}" for name in names]
    rights = ("+@read", "+@write", "+@scripting", "+@connection", "+time", "+info")
    url = await user(*keys, "resetchannels", *rights)
    assert await problems(url) == []
    async with SharedRedis(url, ACCOUNT) as shared:
        await shared.limiter.acquire()
        async with shared.tokens.lock():
            assert await shared.tokens.load() is None
        connection = shared.limiter._connection
        for name in ("default:queue:stream", "state:default:leads", "state:token:leads"):
            with pytest.raises(Unavailable, match="NoPermissionError"):
                await connection.command("TYPE", connection.key(name))
            connection._retry_at = 0.0  # Do not wait for the end of the outage.


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        (["~publitrac:*", "&*", "+@all", "-time"], "+time"),
        (["~publitrac:*", "&*", "+@all", "-evalsha", "-xautoclaim"], "+evalsha +xautoclaim"),
        (["~other:*", "&*", "+@all"], "~publitrac:{"),
        (["~publitrac:*", "&other:*", "+@all"], "&publitrac:{"),
        (["~publitrac:*", "resetchannels", "+@all"], "&publitrac:{"),
        (["~publitrac:*", "&publitrac:*", "+@all"], ":queue:cancel:* (literally, or &*)"),
        (["~publitrac:*", "&*", "+@all", "-psubscribe"], "+psubscribe"),
    ],
)
async def test_the_missing_right_is_named(server: Server, user: Users, rules: list[str], right: str) -> None:
    url = await user(*rules)
    (problem,) = await problems(url, queue=queue_of(url))
    assert problem.fatal
    assert right in problem.text


async def test_a_worker_that_lacks_a_right_ends_at_its_start(server: Server, user: Users) -> None:
    # The other tests also run without docket, which requires a newer redis-py.
    serve = pytest.importorskip("publitrac_async.bulk.distributed.docket", exc_type=ImportError).serve
    url = await user("~publitrac:*", "&publitrac:*", "+@all")
    async with SharedRedis(url, ACCOUNT) as shared, asyncio.timeout(20):
        with pytest.raises(ConfigurationError, match=re.escape(":queue:cancel:*")):
            await serve(RecordingSink(), RedisStateStore(shared, durable=False))


@pytest.mark.parametrize("rules", [["~other:*", "+@all"], ["~publitrac:*", "+@all", "-time"]])
async def test_a_client_that_lacks_a_right_raises_at_once(
    server: Server, user: Users, rules: list[str]
) -> None:
    url = await user(*rules)
    async with (
        RawServer(Vendor()) as service,
        SharedRedis(url, ACCOUNT) as shared,
        PublitracClient(api_key=ACCOUNT, base_url=service.url, retry=EAGER, shared=shared) as publitrac,
    ):
        with pytest.raises(ConfigurationError, match="its user lacks rights"):
            await publitrac.v2.delayed_sync(lead())


async def test_a_redis_that_may_evict_keys_is_refused_for_state_and_warned_of_for_the_limit(
    server: Server,
) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    try:
        (problem,) = await problems(server.url)
        assert not problem.fatal
        (problem,) = await problems(server.url, state=True)
        assert problem.fatal
        assert "allkeys-lru" in problem.text
        async with SharedRedis(server.url, ACCOUNT) as shared:
            with pytest.raises(ConfigurationError, match="may evict keys"):
                await RedisStateStore(shared, durable=False).open("somewhere")
    finally:
        await server.ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")


async def test_a_redis_that_may_evict_keys_with_a_lifetime_is_warned_of(server: Server) -> None:
    await server.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "volatile-lru")
    try:
        for state in (False, True):
            (problem,) = await problems(server.url, state=state)
            assert "volatile-lru" in problem.text
            assert not problem.fatal
    finally:
        await server.ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")


async def test_a_replica_is_refused(server: Server, tmp_path: Path) -> None:
    replica = Server(tmp_path, replicaof=f"127.0.0.1 {server.port}")
    await asyncio.to_thread(replica.start)
    try:
        (problem,) = await problems(replica.url)
        assert problem.fatal
        assert "replica" in problem.text
    finally:
        await asyncio.to_thread(replica.stop)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # By default the second port is 10,000 above the first, which may not be a valid port.
    ports = {"cluster-port": str(free_port())}
    node = Server(tmp_path_factory.mktemp("cluster"), **{"cluster-enabled": "yes"}, **ports)
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize("slots", [[], ["0", "16383"]], ids=["without slots", "with all slots"])
async def test_a_node_of_a_cluster_is_refused(cluster: Server, slots: list[str]) -> None:
    if slots:
        await cluster.ask("CLUSTER", "ADDSLOTSRANGE", *slots)
        while b"cluster_state:ok" not in await raw_cluster_info(cluster):
            await asyncio.sleep(0.05)
    found = await problems(cluster.url, state=True)
    assert [problem.fatal for problem in found] == [True]
    assert "Redis Cluster" in found[0].text
    async with SharedRedis(cluster.url, ACCOUNT) as shared:
        for use in (
            shared.limiter.acquire,
            RedisStateStore(shared, durable=False).names,
            RedisStateStore(shared, durable=False).progress,
        ):
            with pytest.raises(ConfigurationError, match="Redis Cluster"):
                await use()
            shared.limiter._connection._retry_at = 0.0


async def raw_cluster_info(server: Server) -> bytes:
    async with server.client() as client:
        client.response_callbacks.clear()
        response = await client.execute_command("CLUSTER", "INFO")
        return response if isinstance(response, bytes) else str(response).encode()


@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+cluster"])
def test_a_url_of_a_cluster_is_refused(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="Redis Cluster"):
        SharedRedis(f"{scheme}://127.0.0.1", ACCOUNT)


async def test_a_server_that_is_no_redis_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await problems("redis://127.0.0.1:1")


async def test_a_ping_names_the_problem(server: Server) -> None:
    async with SharedRedis(server.url, ACCOUNT) as shared:
        assert await shared.ping() is None
    async with SharedRedis(server.url.replace("redis://", "redis://nobody:wrong@"), ACCOUNT) as shared:
        assert await shared.ping() == "it refuses the user or password of the URL"
    async with SharedRedis("redis://127.0.0.1:1", ACCOUNT) as shared:
        assert await shared.ping() == "ConnectionError"
