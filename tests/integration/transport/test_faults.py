"""Connections that fail: refused, reset, cut at every byte, silent. Over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable

import aiohttp
import aiohttp.http
import pytest

from publitrac_async import (
    DeadlineExceeded,
    Lead,
    NotSent,
    OutcomeUnknown,
    PublitracClient,
    PublitracError,
    RetryPolicy,
    Timeout,
    UnexpectedContent,
)
from tests.support.clients import connector, lead, opened
from tests.support.vendor import DONE, Vendor
from tests.support.wire import Cut, FaultProxy, Peer, RawServer, Seen, http

ONCE = RetryPolicy(attempts=1)
APPENDED = "<request><lead/></request>"
#: aiohttp without its C parser, which skips blank lines behind a response.
PURE_PYTHON = aiohttp.http.HttpResponseParser.__module__ == "aiohttp.http_parser"


async def healthy(publitrac: PublitracClient) -> None:
    """20 of 20 requests succeed: no slot of the pool is lost."""
    async with asyncio.timeout(10):
        await asyncio.gather(*(publitrac.v1.get_lead(f"a{number}@example.com") for number in range(20)))


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
    assert caught.value.message == "no connection to the service: its host refused it"
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
    assert caught.value.message == "no connection to the service: its host name was not found"


@pytest.mark.fault("F02")
async def test_accepted_then_reset() -> None:
    async def reset(peer: Peer) -> bool:
        peer.reset()
        return False

    async with RawServer(Vendor(), greet=reset) as server, opened(server.url) as publitrac:
        with pytest.raises(PublitracError) as caught:
            await publitrac.v1.call("addLead", xml=APPENDED)
        assert server.seen == []
        # Depending on who is faster, bytes had left or not; the error says which.
        assert isinstance(caught.value, OutcomeUnknown) == caught.value.maybe_applied
        assert caught.value.attempts == (1 if caught.value.maybe_applied else 4)
        server.greet = None
        await healthy(publitrac)


async def send_one(publitrac: PublitracClient, operation: str) -> object:
    match operation:
        case "read":
            return (await publitrac.v1.get_lead("ada@example.com")).email
        case "upsert":
            return await publitrac.v1.sync_lead(lead(), use_token=False)
        case "append":
            return sorted(await publitrac.v1.call("addLead", xml=APPENDED))
        case _:
            return (await publitrac.v2.delayed_sync(lead())).status


async def outcome(sending: Awaitable[object]) -> tuple[object, PublitracError | None]:
    try:
        return await sending, None
    except PublitracError as error:
        return None, error


RESULTS = {
    "read": "ada@example.com",
    "upsert": None,
    "append": ["message", "status"],
    "queue": "success",
}


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
                # Sent again and again, the end is the same.
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
    """A response without a length ends with the connection, so only its content shows that it was cut."""
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
    b"HTTP/1.1 200 OK\r\n\r\n": 2,  # Perhaps it was cut.
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": 1,
    b"HTTP/1.1 204 No Content\r\n\r\n": 1,
}


@pytest.mark.parametrize("operation", ["read", "queue"])
@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.fault("F04")
async def test_an_empty_response_is_asked_for_again_if_it_may_have_been_cut(
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


@pytest.mark.parametrize("operation", ["read", "append"])
async def test_a_misdirected_request_is_sent_again_on_another_connection(operation: str) -> None:
    """The server refused it because of its connection, so it was not applied."""
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(b"", "421 Misdirected Request") if peer.number == 0 else await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        await send_one(publitrac, operation)
        assert [seen.connection for seen in server.seen] == [0, 1]


async def drop_connections(publitrac: PublitracClient) -> None:
    """The next request opens a new connection."""
    for protocols in list(connector(publitrac)._conns.values()):
        for protocol, _ in protocols:
            protocol.close()


async def measure(publitrac: PublitracClient, server: RawServer, operation: str) -> int:
    """How many bytes the request of an operation has."""
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
    """aiohttp would repeat a GET by itself there, past the rate limiter and the number of attempts."""
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
            await asyncio.sleep(0.01)  # The end of the connection arrives.
        assert len(server.seen) == 10


async def test_a_connection_closed_while_its_request_waits_for_the_limiter() -> None:
    vendor, kept = Vendor(), list[Peer]()

    class Holds:
        """A limiter that lets the server close everything while a request waits."""

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


@pytest.mark.parametrize("when", ["with the response", "later"])
@pytest.mark.parametrize("stray", [http(b'{"status": "success", "code": 200}'), b"garbage", b"\r\n\r\n"])
@pytest.mark.fault("F28")
async def test_stray_bytes_are_not_taken_for_a_response(stray: bytes, when: str) -> None:
    vendor, strayed = Vendor(), asyncio.Event()

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        response = await vendor(seen, peer)
        if when == "with the response":
            return response + stray
        await peer.write(response)
        await asyncio.sleep(0.005)
        await peer.write(stray)
        strayed.set()
        return None

    async with RawServer(respond) as server, opened(server.url, concurrency=1) as publitrac:
        for number in range(10):
            found, failure = await outcome(publitrac.v1.get_lead(f"a{number}@example.com"))
            if failure is not None:  # aiohttp gives up a response that has no HTTP behind it.
                assert (when, type(failure)) == ("with the response", OutcomeUnknown)
                assert stray == b"garbage" or (stray == b"\r\n\r\n" and PURE_PYTHON)
                break
            assert isinstance(found, Lead)
            assert found.email == f"a{number}@example.com"
            if when == "later":
                await strayed.wait()
                strayed.clear()
                await asyncio.sleep(0.02)  # The stray bytes arrive.
        else:
            assert len(server.seen) == 10


STRANGE = {
    "HTTP/0.9": b"hello",
    "nothing before the end": b"",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length too long": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<response>",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r",
    "bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "chunk without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "bad status": b"HTTP/1.1 two hundred\r\n\r\n",
    "huge status": b"HTTP/1.1 99999 OK\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n",
    # These would be successes if there were no caps.
    "a header of 1 MiB": http(DONE.encode(), headers=f"X: {'x' * 2**20}\r\n"),
    "a status line of 1 MiB": http(DONE.encode(), f"200 {'x' * 2**20}"),
    "100,000 headers": http(DONE.encode(), headers="X: 1\r\n" * 100_000),
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "cut gzip": http(b"\x1f\x8b\x08", headers="Content-Encoding: gzip\r\n"),
    "no gzip": http(b"<response/>", headers="Content-Encoding: gzip\r\n"),
    "brotli": http(b"x", headers="Content-Encoding: br\r\n"),
}

LENGTH = "not valid HTTP: Content-Length is malformed"
#: What the error says of them, with the parser in C.
NAMED = {
    "HTTP/0.9": "not valid HTTP: the status line is malformed",
    "nothing before the end": "the connection closed",
    "two lengths": LENGTH,
    "negative length": LENGTH,
    "length too long": "the connection closed",
    "length and chunks": LENGTH,
    "bad chunk size": "not valid HTTP: a chunk is malformed",
    "chunk without end": "not valid HTTP: a chunk is malformed",
    "bad status": "not valid HTTP: the status line is malformed",
    "huge status": "not valid HTTP: the status line is malformed",
    "no colon": "not valid HTTP: a header field is malformed",
    "a header of 1 MiB": "not valid HTTP: a line or header field is too long",
    "a status line of 1 MiB": "not valid HTTP: a line or header field is too long",
    "100,000 headers": "not valid HTTP: too many header fields",
    "upgrade": "no request asks for",
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.fault("F28")
async def test_strange_responses_are_typed_errors_and_the_pool_stays_whole(name: str) -> None:
    vendor = Vendor()
    strange = True

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        if not strange:
            return await vendor(seen, peer)
        await peer.write(STRANGE[name])
        peer.close()
        return None

    async with RawServer(respond) as server, opened(server.url, concurrency=2) as publitrac:
        for _ in range(3):
            server.seen.clear()
            with pytest.raises((OutcomeUnknown, UnexpectedContent)) as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
            assert caught.value.maybe_applied
            assert len(server.seen) == 1
            assert len(str(caught.value)) < 300
            assert NAMED.get(name, "") in str(caught.value) or PURE_PYTHON
            await asyncio.sleep(0.01)  # The end of the connection arrives.
        strange = False
        await healthy(publitrac)


async def test_a_header_field_of_30_kb_is_read() -> None:
    """Gateways send policies and cookies of that size."""

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(DONE.encode(), headers=f"X: {'x' * 30_000}\r\n")

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        await publitrac.v1.call("addLead", xml=APPENDED)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
    ],
)
@pytest.mark.fault("F28")
async def test_provisional_responses_are_skipped(first: bytes) -> None:
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return first + await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        for _ in range(3):
            await publitrac.v1.get_lead("a@example.com")
        assert len(server.seen) == 3


@pytest.mark.fault("F24")
async def test_a_gzip_bomb_ends_in_an_error_and_the_pool_stays_whole() -> None:
    import zlib

    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    vendor, hostile = Vendor(), True

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(bomb, headers="Content-Encoding: gzip\r\n") if hostile else await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url, concurrency=2) as publitrac:
        for _ in range(3):
            with pytest.raises(UnexpectedContent, match="decompresses"):
                await publitrac.v1.get_lead("a@example.com")
        assert len(server.seen) == 3
        hostile = False
        await healthy(publitrac)


@pytest.mark.fault("F24")
async def test_an_endless_response_ends_at_the_cap() -> None:
    async def endless(seen: Seen, peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.writer.write(b"100000\r\n" + bytes(2**20) + b"\r\n")
            await peer.writer.drain()

    async with RawServer(endless) as server, opened(server.url) as publitrac:
        with pytest.raises(UnexpectedContent, match="larger"):
            await publitrac.v1.get_lead("a@example.com")


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
        # A head has to be whole within `read`; a body has to go on.
        assert type(caught.value) is (DeadlineExceeded if where == "body" else OutcomeUnknown)
        assert caught.value.maybe_applied


@pytest.mark.parametrize("where", ["before", "head", "body"])
async def test_a_stall_ends_at_the_read_timeout_and_the_pool_stays_whole(where: str) -> None:
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


async def test_a_server_that_accepts_and_says_nothing_to_tls() -> None:
    async def silent(peer: Peer) -> bool:
        return False

    async with RawServer(Vendor(), greet=silent) as server:
        url = server.url.replace("http", "https")
        options = {"timeout": Timeout(total=5, connect=0.1), "retry": RetryPolicy(attempts=2, base=0)}
        async with opened(url, **options) as publitrac:
            with pytest.raises(NotSent) as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
            assert caught.value.attempts == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["other port", "same host", "//host", "userinfo", "loop"])
@pytest.mark.fault("F23")
async def test_redirects_are_never_followed(status: int, to: str) -> None:
    async with RawServer(Vendor()) as other:

        async def redirect(seen: Seen, peer: Peer) -> bytes:
            location = {
                "other port": f"{other.url}{seen.target}",
                "same host": f"/elsewhere{seen.target}",
                "//host": f"//127.0.0.1:{other.port}/x",
                "userinfo": f"http://me:secret@127.0.0.1:{other.port}/x",
                "loop": seen.target,
            }[to]
            return http(status=f"{status} Moved", headers=f"Location: {location}\r\n")

        async with RawServer(redirect) as server, opened(server.url) as publitrac:
            for use in (
                publitrac.v1.get_lead("a@example.com"),
                publitrac.v1.call("addLead", xml=APPENDED),
                publitrac.v2.delayed_sync(lead()),
            ):
                with pytest.raises(UnexpectedContent) as caught:
                    await use
                assert caught.value.status == status
                assert not {"http:", "secret", "the-key", "?"} & set(str(caught.value).split())
                assert str(other.port) not in str(caught.value)
            assert len(server.seen) == 3
        assert other.connections == 0


async def test_cookies_are_never_sent_back() -> None:
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return (await vendor(seen, peer)).replace(b"\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n", 1)

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        for _ in range(3):
            await publitrac.v1.get_lead("a@example.com")
            await publitrac.v2.delayed_sync(lead())
        assert len(server.seen) == 7
        assert not any("cookie" in seen.headers for seen in server.seen)


async def test_a_path_in_the_base_url_is_kept() -> None:
    async with RawServer(Vendor()) as server, opened(f"{server.url}/tenant/") as publitrac:
        await publitrac.v1.get_lead("a@example.com")
        await publitrac.v2.delayed_sync(lead())
        assert [seen.path for seen in server.seen] == [
            "/tenant/api",
            "/tenant/v2/auth/getToken",
            "/tenant/v2/lead/delayedSync",
        ]


async def test_what_is_sent_is_what_the_documents_ask_for() -> None:
    async with RawServer(Vendor()) as server, opened(server.url) as publitrac:
        await publitrac.v1.get_lead("ada+tag@example.com")
        await publitrac.v1.sync_lead(lead())
        await publitrac.v2.delayed_sync(lead())
        read, write, token_request, queue = server.seen
        assert read.query == {
            "method": "getLead",
            "apikey": "the-key",
            "username": "the-user",
            "password": "the-password",
            "email": "ada+tag@example.com",
        }
        assert "query" in write.form
        assert write.query["apikey"] == "the-key"
        assert token_request.headers["authorization"] == "the-key"
        assert "token" not in token_request.headers
        assert queue.headers["token"] == "token-1"
        assert "authorization" not in queue.headers
        assert queue.headers["content-type"] == "application/json"
        for seen in server.seen:
            assert seen.headers["accept-encoding"] == "gzip"
            assert seen.headers["user-agent"].startswith("publitrac_async/")
            with contextlib.suppress(KeyError):
                assert seen.headers["connection"] == "keep-alive"
        assert server.connections == 1
