"""A client with a shared limit and a shared token."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from publitrac_async import ConfigurationError, PublitracClient, PublitracError, RetryPolicy
from publitrac_async.shared import SharedRedis
from tests.support.clients import EAGER, lead
from tests.support.redis_server import Server
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer, Seen, http

KEY = "the-very-secret-key"


def member(service: RawServer, shared: SharedRedis, retry: RetryPolicy = EAGER) -> PublitracClient:
    return PublitracClient(
        api_key=KEY,
        base_url=service.url,
        retry=retry,
        shared=shared,
    )


@asynccontextmanager
async def client(service: RawServer, url: str, retry: RetryPolicy = EAGER) -> AsyncIterator[PublitracClient]:
    async with SharedRedis(url, KEY) as shared, member(service, shared, retry) as publitrac:
        yield publitrac


async def connections(server: Server) -> int:
    """The connections besides the one that counts."""
    async with server.client() as client:
        return len(await client.client_list()) - 1


async def test_redis_holds_no_key_and_no_personal_data(server: Server) -> None:
    async with RawServer(Vendor()) as service, client(service, server.url) as publitrac:
        await publitrac.v2.delayed_sync(lead())
        publitrac._transport._limiter.pause(5)
        await asyncio.sleep(0.1)
        keys = await server.keys()
        assert [key.rpartition(":")[2] for key in keys] == ["pause", "processes", "rate", "token"]
        assert not any(KEY in key for key in keys)
        values = [await server.ask("GET", keys[0]), await server.ask("GET", keys[3])]
        assert values == [b"1", b"900.0 token-1"]
        # Every key expires.
        assert [key for key in keys if await server.ask("PTTL", key) <= 0] == []


async def test_shared_redis_closes_its_connections_and_clients_do_not(server: Server) -> None:
    async with RawServer(Vendor()) as service:
        shared = SharedRedis(server.url, KEY)
        publitrac = member(service, shared)
        await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(10)))
        await publitrac.aclose()
        assert await connections(server) > 0
        await shared.aclose()
        await asyncio.sleep(0.05)
        assert await connections(server) == 0
        await shared.aclose()


async def test_no_script_costs_more_than_one_round_trip(server: Server) -> None:
    async with SharedRedis(server.url, KEY) as shared:
        for _ in range(2):
            await shared.limiter.acquire()
            await shared.tokens.load()
    stats = await server.ask("INFO", "commandstats")
    assert "cmdstat_script|load" not in stats
    assert not stats["cmdstat_evalsha"]["failed_calls"]
    assert not stats["cmdstat_evalsha"]["rejected_calls"]


async def test_two_clients_may_share_one_object(server: Server) -> None:
    vendor = Vendor()
    async with RawServer(vendor) as service:
        async with SharedRedis(server.url, KEY) as shared, member(service, shared) as second:
            async with member(service, shared) as first:
                await asyncio.gather(first.v2.delayed_sync(lead()), second.v2.delayed_sync(lead()))
            await second.v2.delayed_sync(lead())
        await asyncio.sleep(0.05)
        assert await connections(server) == 0
    assert vendor.token_requests == 1


async def test_a_refusal_pauses_every_process(server: Server) -> None:
    vendor = Vendor()

    async def busy(seen: Seen, peer: Peer) -> bytes:
        if len(service.calls("delayedSync")) == 1:
            return http(status="429 Too Many Requests", headers="Retry-After: 1\r\n")
        return await vendor(seen, peer)

    async with RawServer(busy) as service:
        async with client(service, server.url) as ours, client(service, server.url) as theirs:
            first = asyncio.create_task(ours.v2.delayed_sync(lead(1)))
            while not service.calls("delayedSync"):
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.1)
            await asyncio.gather(first, *(theirs.v2.delayed_sync(lead(number)) for number in range(5)))
        refused, *others = [seen.arrived for seen in service.calls("delayedSync")]
    assert len(others) == 6
    assert min(others) - refused > 0.9


async def test_a_dead_token_of_all_is_replaced_once(server: Server) -> None:
    vendor = Vendor()
    async with RawServer(vendor) as service, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(service, server.url)) for _ in range(3)]
        await asyncio.gather(*(each.v2.delayed_sync(lead()) for each in clients))
        vendor.expire()
        for each in clients:
            await each.v2.delayed_sync(lead())
    assert vendor.token_requests == 2


async def test_calls_live_through_a_short_outage(server: Server) -> None:
    async with RawServer(Vendor()) as service, client(service, server.url, RetryPolicy()) as publitrac:
        await publitrac.v2.delayed_sync(lead())
        server.stop()
        call = asyncio.create_task(publitrac.v2.delayed_sync(lead()))
        await asyncio.sleep(0.5)
        server.start()
        await call


@pytest.mark.parametrize("password", ["wrong-password", ""])
async def test_a_refused_password_is_shown_nowhere(
    server: Server, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    await server.ask("CONFIG", "SET", "requirepass", "right-password")
    url = server.url.replace("redis://", f"redis://:{password}@" if password else "redis://")
    try:
        async with RawServer(Vendor()) as service:
            with caplog.at_level(logging.DEBUG):
                async with client(service, url, RetryPolicy(attempts=1)) as publitrac:
                    with pytest.raises(ConfigurationError) as caught:
                        await publitrac.v2.delayed_sync(lead())
            assert not service.seen
    finally:
        server.stop()
    assert isinstance(caught.value, PublitracError)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    for secret in ("wrong-password", "right-password", KEY):
        assert secret not in told
    assert "refuses the user or password" in str(caught.value)
    assert caplog.text.count("Redis does not respond") == 1
