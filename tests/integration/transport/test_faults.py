"""Connections that are refused, reset, closed or silent. Over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from publitrac_async import DeadlineExceeded, NotSent, OutcomeUnknown, PublitracError, RetryPolicy, Timeout
from tests.support.clients import lead, opened
from tests.support.faults import ONCE
from tests.support.operations import APPENDED, healthy, send_one
from tests.support.vendor import DONE, Vendor
from tests.support.wire import Peer, RawServer, Seen, http


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("operation", ["read", "upsert", "append"])
@pytest.mark.fault("F01")
async def test_a_refused_connection_is_retried_for_every_class(operation: str) -> None:
    async with opened(f"http://127.0.0.1:{closed_port()}") as publitrac:
        with pytest.raises(NotSent) as caught:
            await send_one(publitrac, operation)
    assert caught.value.attempts == 4
    assert not caught.value.maybe_applied
    assert caught.value.retryable
    assert caught.value.message == "no connection to the service: connection refused"
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.fault("F01")
async def test_a_token_request_that_is_refused_names_the_token_request() -> None:
    async with opened(f"http://127.0.0.1:{closed_port()}") as publitrac:
        with pytest.raises(NotSent) as caught:
            await publitrac.v2.delayed_sync(lead())
    assert (caught.value.operation, caught.value.attempts) == ("getToken", 4)


async def test_an_unknown_host_is_not_sent() -> None:
    async with opened("https://host.invalid", retry=RetryPolicy(attempts=2, base=0)) as publitrac:
        with pytest.raises(NotSent) as caught:
            await publitrac.v1.get_lead("a@example.com")
    assert caught.value.attempts == 2
    assert caught.value.message == "no connection to the service: host name not found"


@pytest.mark.fault("F02")
async def test_accepted_then_reset() -> None:
    async def reset(peer: Peer) -> bool:
        peer.reset()
        return False

    async with RawServer(Vendor(), greet=reset) as server, opened(server.url) as publitrac:
        with pytest.raises(PublitracError) as caught:
            await publitrac.v1.call("addLead", xml=APPENDED)
        assert server.seen == []
        # Bytes may have left or not; the error tells which.
        assert isinstance(caught.value, OutcomeUnknown) == caught.value.maybe_applied
        assert caught.value.attempts == (1 if caught.value.maybe_applied else 4)
        server.greet = None
        await healthy(publitrac)


@pytest.mark.parametrize("operation", ["read", "append"])
async def test_a_misdirected_request_is_sent_again_on_another_connection(operation: str) -> None:
    """The server refused it because of its connection, so it was not applied."""
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(b"", "421 Misdirected Request") if peer.number == 0 else await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        await send_one(publitrac, operation)
        assert [seen.connection for seen in server.seen] == [0, 1]


@pytest.mark.parametrize("kind", ["GET", "POST"])
@pytest.mark.parametrize("attempts", [1, 2, 4])
async def test_a_server_that_hangs_up_sees_exactly_the_attempts(kind: str, attempts: int) -> None:
    async def hang_up(seen: Seen, peer: Peer) -> None:
        peer.close()

    retry = RetryPolicy(attempts=attempts, base=0)
    async with RawServer(hang_up) as server, opened(server.url, retry=retry) as publitrac:
        with pytest.raises(OutcomeUnknown) as caught:
            await (
                publitrac.v1.get_lead("a@example.com")
                if kind == "GET"
                else publitrac.v1.call("syncLead", xml=APPENDED, idempotent=True)
            )
        assert len(server.seen) == caught.value.attempts == attempts


@pytest.mark.parametrize("kind", ["GET", "POST"])
async def test_a_kept_connection_that_hangs_up_on_its_second_request(kind: str) -> None:
    """aiohttp would repeat a GET there without asking the rate limiter or counting the attempt."""
    vendor = Vendor()

    async def second(seen: Seen, peer: Peer) -> bytes | None:
        if len(server.seen) > 1:
            peer.close()
            return None
        return await vendor(seen, peer)

    async with RawServer(second) as server, opened(server.url, retry=ONCE) as publitrac:
        await publitrac.v1.get_lead("a@example.com")
        with pytest.raises(OutcomeUnknown):
            await (
                publitrac.v1.get_lead("a@example.com")
                if kind == "GET"
                else publitrac.v1.call("addLead", xml=APPENDED)
            )
        assert len(server.seen) == 2
        assert server.connections == 1


async def test_a_connection_closed_while_idle_costs_no_attempt() -> None:
    vendor = Vendor()

    async def then_close(seen: Seen, peer: Peer) -> None:
        await peer.write(await vendor(seen, peer))
        peer.close()

    async with RawServer(then_close) as server, opened(server.url, retry=ONCE) as publitrac:
        for _ in range(10):
            await publitrac.v1.get_lead("a@example.com")
            await asyncio.sleep(0.01)  # Let the end of the connection arrive.
        assert len(server.seen) == 10


async def test_a_connection_closed_while_its_request_waits_for_the_limiter() -> None:
    vendor, kept = Vendor(), list[Peer]()

    class Holds:
        """A limiter that lets the server close every connection while a request waits."""

        async def acquire(self) -> None:
            for peer in kept:
                peer.close()
            kept.clear()
            await asyncio.sleep(0.01)

        def pause(self, seconds: float) -> None: ...

    async def respond(seen: Seen, peer: Peer) -> bytes:
        kept.append(peer)
        return await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url, retry=ONCE, limiter=Holds()) as publitrac:
        for number in range(5):
            await publitrac.v1.call("addLead", xml=APPENDED)
            assert len(vendor.applied) == number + 1


@pytest.mark.parametrize("where", ["before", "head", "body"])
@pytest.mark.fault("F06")
async def test_a_slow_loris_ends_at_the_deadline(where: str) -> None:
    response = http(DONE.encode(), content_type="application/xml")

    async def loris(seen: Seen, peer: Peer) -> None:
        if where == "body":
            await peer.write(response[:-20])
        if where == "head":
            await peer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while where != "before":
            await peer.write(b"x" if where == "head" else b" ")
            await asyncio.sleep(0.05)
        await asyncio.sleep(60)

    async with (
        RawServer(loris) as server,
        opened(server.url, timeout=Timeout(total=0.4, read=0.3), retry=ONCE) as publitrac,
    ):
        started = asyncio.get_running_loop().time()
        with pytest.raises((DeadlineExceeded, OutcomeUnknown)) as caught:
            await publitrac.v1.call("addLead", xml=APPENDED)
        assert asyncio.get_running_loop().time() - started < 5
        # A head must be complete within `read`; a body must make progress.
        assert type(caught.value) is (DeadlineExceeded if where == "body" else OutcomeUnknown)
        assert caught.value.maybe_applied


@pytest.mark.parametrize("where", ["before", "head", "body"])
async def test_a_stall_ends_at_the_read_timeout_and_the_pool_stays_intact(where: str) -> None:
    response = http(DONE.encode(), content_type="application/xml")
    vendor, stalls = Vendor(), True

    async def stall(seen: Seen, peer: Peer) -> bytes:
        if stalls:
            await peer.write({"before": b"", "head": response[:20], "body": response[:-5]}[where])
            await asyncio.sleep(60)
        return await vendor(seen, peer)

    async with (
        RawServer(stall) as server,
        opened(server.url, concurrency=2, timeout=Timeout(total=20, read=0.1)) as publitrac,
    ):
        with pytest.raises(OutcomeUnknown) as caught:
            await publitrac.v1.get_lead("a@example.com")
        assert caught.value.attempts == len(server.seen) == 4
        stalls = False
        await healthy(publitrac)


async def test_a_server_that_accepts_and_is_silent_in_tls() -> None:
    async def silent(peer: Peer) -> bool:
        return False

    async with RawServer(Vendor(), greet=silent) as server:
        url = server.url.replace("http", "https")
        options = {"timeout": Timeout(total=5, connect=0.1), "retry": RetryPolicy(attempts=2, base=0)}
        async with opened(url, **options) as publitrac:
            with pytest.raises(NotSent) as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
            assert caught.value.attempts == 2
