"""Requests and responses that are truncated at every byte. Over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from publitrac_async import OutcomeUnknown, PublitracClient, RetryPolicy, UnexpectedContent
from tests.support.clients import opened
from tests.support.faults import ONCE
from tests.support.operations import APPENDED, RESULTS, drop_connections, healthy, outcome, send_one
from tests.support.vendor import DONE, Vendor
from tests.support.wire import Cut, FaultProxy, Peer, RawServer, Seen


@pytest.mark.parametrize("operation", ["read", "upsert", "append", "queue"])
@pytest.mark.fault("F03")
async def test_reset_at_every_byte_of_the_request(operation: str) -> None:
    vendor = Vendor()
    async with (
        RawServer(vendor) as server,
        FaultProxy(server.port) as proxy,
        opened(proxy.url, concurrency=1) as publitrac,
    ):
        await send_one(publitrac, operation)  # Logs in, too.
        length = await measure(publitrac, server, operation)
        assert length > 150
        for after in range(length + 1):
            await drop_connections(publitrac)
            vendor.applied.clear()
            proxy.plan = [Cut("request", after)]
            result, failure = await outcome(send_one(publitrac, operation))
            if failure is None:
                assert result == RESULTS[operation]
            else:
                assert operation == "append", f"reset after {after} bytes"
                assert type(failure) is OutcomeUnknown
                assert failure.maybe_applied
            assert proxy.plan == []
            if operation == "append":
                assert len(vendor.applied) <= 1
            elif operation != "read":
                # However often it is sent, the result is the same.
                assert 1 <= len(vendor.applied) <= 2
                assert len(set(vendor.applied)) == 1
        await healthy(publitrac)


@pytest.mark.parametrize("with_reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("chunked", [0, 7], ids=["length", "chunked"])
@pytest.mark.parametrize("operation", ["read", "append", "queue"])
@pytest.mark.fault("F04", "F05")
async def test_cut_at_every_byte_of_the_response(operation: str, chunked: int, with_reset: bool) -> None:
    vendor = Vendor(chunked=chunked)
    length, after = 0, None

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        nonlocal length
        response = await vendor(seen, peer)
        length = len(response)
        if after is None:
            return response
        await peer.write(response[:after])
        (peer.reset if with_reset else peer.close)()
        return None

    async with (
        RawServer(respond) as server,
        opened(server.url, concurrency=1, retry=ONCE) as publitrac,
    ):
        await send_one(publitrac, operation)  # Logs in, too.
        outcomes: Counter[str] = Counter()
        for after in range(length):
            await drop_connections(publitrac)
            before = len(vendor.applied)
            result, failure = await outcome(send_one(publitrac, operation))
            outcomes[type(failure).__name__] += 1
            if failure is None:
                assert result == RESULTS[operation], f"cut after {after} bytes of {length}"
            else:
                assert type(failure) is OutcomeUnknown
                assert failure.attempts == 1
                assert failure.maybe_applied is (operation != "read")
            assert len(vendor.applied) - before == (operation != "read")
        after = None
        assert length > 100
        # Of a chunked response the last CR LF ends nothing but the trailer.
        assert outcomes["NoneType"] <= (2 if chunked else 0)
        await healthy(publitrac)


@pytest.mark.fault("F04")
async def test_cut_responses_of_unknown_length_are_errors() -> None:
    """A response without a length ends with the connection, so only its content shows a truncation."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n\r\n"
    after = 0

    async def respond(seen: Seen, peer: Peer) -> None:
        await peer.write(head + DONE.encode()[:after])
        peer.close()

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        for after in range(len(DONE) - 1):  # noqa: B007  (read by `respond`)
            server.seen.clear()
            with pytest.raises((OutcomeUnknown, UnexpectedContent)) as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
            assert caught.value.maybe_applied
            assert len(server.seen) == 1, "an append was sent twice"
        after = len(DONE)
        assert await publitrac.v1.call("addLead", xml=APPENDED)


EMPTY = {
    b"HTTP/1.1 200 OK\r\n\r\n": 2,  # Perhaps it was truncated.
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": 1,
    b"HTTP/1.1 204 No Content\r\n\r\n": 1,
}


@pytest.mark.parametrize("operation", ["read", "queue"])
@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.fault("F04")
async def test_an_empty_response_is_requested_again_if_it_may_have_been_cut(
    empty: bytes, operation: str
) -> None:
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        if "getToken" in seen.target:
            return await vendor(seen, peer)
        await peer.write(empty)
        peer.close()
        return None

    retry = RetryPolicy(attempts=2, base=0)
    async with RawServer(respond) as server, opened(server.url, retry=retry) as publitrac:
        with pytest.raises(UnexpectedContent, match="empty") as caught:
            await send_one(publitrac, operation)
    assert caught.value.attempts == EMPTY[empty]


async def measure(publitrac: PublitracClient, server: RawServer, operation: str) -> int:
    """The number of bytes in the request of an operation."""
    before = server.received
    await send_one(publitrac, operation)
    return server.received - before


@pytest.mark.fault("F08")
async def test_a_response_byte_by_byte_is_read_the_same() -> None:
    vendor = Vendor(chunked=3)

    async def slowly(seen: Seen, peer: Peer) -> None:
        for byte in await vendor(seen, peer):
            await peer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with RawServer(slowly) as server, opened(server.url) as publitrac:
        for operation, expected in RESULTS.items():
            assert await send_one(publitrac, operation) == expected
