"""No second at the service holds more than 35 requests, whatever the connections do."""

from __future__ import annotations

import asyncio

import pytest
import trustme

from publitrac_async import WindowLimiter
from tests.integration.transport.test_tls import server_context, trusting
from tests.support.clients import lead, opened
from tests.support.vendor import Vendor
from tests.support.wire import FaultProxy, Peer, RawServer, Seen


def busiest_second(arrivals: list[float]) -> int:
    arrivals = sorted(arrivals)
    return max(sum(1 for later in arrivals if time <= later < time + 1.0) for time in arrivals)


@pytest.mark.parametrize("connects", ["at once", "slowly"])
async def test_at_most_35_arrive_in_any_second(connects: str) -> None:
    turn = asyncio.Lock()

    async def hold() -> None:
        async with turn:
            await asyncio.sleep(0.02)

    authority = trustme.CA()
    context = server_context(authority.issue_cert("localhost"))
    async with RawServer(Vendor(), tls=context) as server, FaultProxy(server.port) as way:
        way.hold = hold if connects == "slowly" else None
        url = f"https://localhost:{way.port}"
        options = {"rate_limit": 35, "concurrency": 16, "transport": trusting(authority)}
        async with opened(url, **options) as publitrac:
            await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(89)))
        assert len(server.seen) == 90, "the log-in counts too"
        assert busiest_second([seen.arrived for seen in server.seen]) <= 35


async def test_a_small_pool_does_not_turn_the_limiter_into_a_volley() -> None:
    """The limiter is asked with a connection in hand: calls that queue for one have no permit yet."""
    vendor, stuck = Vendor(), True

    async def slow(seen: Seen, peer: Peer) -> bytes:
        while stuck:
            await asyncio.sleep(0.01)
        return await vendor(seen, peer)

    async with RawServer(slow) as server:
        limiter = WindowLimiter(35)
        async with opened(server.url, limiter=limiter, concurrency=2) as publitrac:
            tasks = [asyncio.create_task(publitrac.v1.get_lead("a@example.com")) for _ in range(60)]
            await asyncio.sleep(0.5)
            assert len(server.seen) == len(limiter._departures) == 2
            stuck = False
            await asyncio.gather(*tasks)
        assert len(server.seen) == 60
        assert busiest_second([seen.arrived for seen in server.seen]) <= 35


async def test_retries_and_replays_count() -> None:
    vendor = Vendor()

    class Counts:
        asked = 0

        async def acquire(self) -> None:
            self.asked += 1

        def pause(self, seconds: float) -> None: ...

    async def moody(seen: Seen, peer: Peer) -> bytes | None:
        if len(server.seen) % 3 == 0:
            vendor.expire()
        if len(server.seen) % 5 == 0:
            peer.close()
            return None
        return await vendor(seen, peer)

    limiter = Counts()
    async with RawServer(moody) as server, opened(server.url, limiter=limiter) as publitrac:
        for number in range(20):
            await asyncio.gather(publitrac.v2.delayed_sync(lead(number)), return_exceptions=True)
            await asyncio.sleep(0.002)
        assert len(server.seen) == limiter.asked > 40


async def test_v2_can_have_a_limit_of_its_own() -> None:
    async with (
        RawServer(Vendor()) as server,
        opened(server.url, rate_limit=1, v2_rate_limit=1000) as publitrac,
    ):
        async with asyncio.timeout(1):
            await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(100)))
        assert len(server.seen) == 101
