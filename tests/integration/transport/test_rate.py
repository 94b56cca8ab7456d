"""The service gets at most 35 requests in any second, whatever the connections do."""

from __future__ import annotations

import asyncio
import time

import pytest
import trustme

from publitrac_async import Rate, WindowLimiter
from publitrac_async.transport.pool import Exchange
from tests.support.clients import lead, opened
from tests.support.tls import server_context, trusting
from tests.support.vendor import Vendor
from tests.support.wire import FaultProxy, Peer, RawServer, Seen, http


def busiest_second(arrivals: list[float]) -> int:
    arrivals = sorted(arrivals)
    return max(sum(1 for later in arrivals if time <= later < time + 1.0) for time in arrivals)


async def test_calls_that_wait_for_their_connection_have_no_permit_yet() -> None:
    """Otherwise all would leave at once when the connections are open."""
    slow = asyncio.Event()
    authority = trustme.CA()
    context = server_context(authority.issue_cert("localhost"))
    async with RawServer(Vendor(), tls=context) as server, FaultProxy(server.port) as way:
        way.hold = slow.wait
        limiter = WindowLimiter(35)
        url = f"https://localhost:{way.port}"
        options = {"limiter": limiter, "concurrency": 50, "transport": trusting(authority)}
        async with opened(url, **options) as publitrac:
            tasks = [asyncio.create_task(publitrac.v1.get_lead("a@example.com")) for _ in range(50)]
            await asyncio.sleep(0.2)
            assert len(limiter._departures) == 0
            released = time.monotonic()
            slow.set()
            await asyncio.gather(*tasks)
        assert min(each.at for each in limiter._departures) >= released
        assert len(server.seen) == 50


async def test_a_request_is_written_in_the_turn_of_the_event_loop_in_which_it_was_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    permits = 0
    permits_at_writes = list[int]()

    class OneTurn:
        async def acquire(self) -> None:
            nonlocal permits
            permits += 1
            asyncio.get_running_loop().call_soon(self.end)

        def end(self) -> None:
            nonlocal permits
            permits -= 1

        def pause(self, seconds: float) -> None:
            raise AssertionError(seconds)

    write = Exchange.write

    def noting(exchange: Exchange, data: bytes) -> None:
        permits_at_writes.append(permits)
        write(exchange, data)

    monkeypatch.setattr(Exchange, "write", noting)
    async with RawServer(Vendor()) as server, opened(server.url, limiter=OneTurn()) as publitrac:
        await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number % 10)) for number in range(60)))
    assert len(permits_at_writes) == len(server.seen) == 61
    assert min(permits_at_writes) >= 1


@pytest.mark.fault("F35")
async def test_no_more_than_35_leave_in_any_second_log_ins_and_retries_included() -> None:
    vendor, departures = Vendor(), list[float]()

    class Notes(WindowLimiter):
        async def acquire(self) -> None:
            await super().acquire()
            departures.append(self._departures[-1].at)

    async def moody(seen: Seen, peer: Peer) -> bytes:
        if len(server.seen) == 10:
            vendor.expire()
        return http(status="503 X") if len(server.seen) % 7 == 0 else await vendor(seen, peer)

    async with RawServer(moody) as server, opened(server.url, limiter=Notes(35)) as publitrac:
        await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(60)))
    assert len(departures) == len(server.seen) > 65
    assert busiest_second(departures) <= 35
    # No request arrives before the limiter let it leave.
    assert all(seen.arrived >= left for seen, left in zip(server.seen, departures, strict=True))


async def test_a_small_pool_does_not_turn_the_limiter_into_a_volley() -> None:
    """A call asks the limiter only when it has a connection: calls that wait for one have no permit yet."""
    vendor, stuck = Vendor(), True

    async def slow(seen: Seen, peer: Peer) -> bytes:
        while stuck:
            await asyncio.sleep(0.01)
        return await vendor(seen, peer)

    async with RawServer(slow) as server:
        limiter = WindowLimiter(35)
        async with opened(server.url, limiter=limiter, concurrency=2) as publitrac:
            tasks = [asyncio.create_task(publitrac.v1.get_lead("a@example.com")) for _ in range(60)]
            while len(server.seen) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert len(server.seen) == len(limiter._departures) == 2
            stuck = False
            async with asyncio.timeout(10):
                await asyncio.gather(*tasks)
        assert len(server.seen) == 60


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
        opened(server.url, rate_limit=Rate(1, per=60), v2_rate_limit=1000) as publitrac,
    ):
        # With the other limit they would take 100 minutes.
        async with asyncio.timeout(30):
            await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(100)))
        assert len(server.seen) == 101
