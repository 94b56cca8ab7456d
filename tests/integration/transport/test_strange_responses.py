"""Responses that are not valid HTTP, stray, or without end. Over real sockets."""

from __future__ import annotations

import asyncio

import aiohttp
import aiohttp.http
import pytest

from publitrac_async import Lead, OutcomeUnknown, UnexpectedContent
from tests.support.clients import opened
from tests.support.operations import APPENDED, healthy, outcome
from tests.support.vendor import DONE, Vendor
from tests.support.wire import Peer, RawServer, Seen, http

#: aiohttp without its C parser, which skips blank lines behind a response.
PURE_PYTHON = aiohttp.http.HttpResponseParser.__module__ == "aiohttp.http_parser"


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
            if failure is not None:  # aiohttp rejects a response that is followed by bytes that are not HTTP.
                assert (when, type(failure)) == ("with the response", OutcomeUnknown)
                assert stray == b"garbage" or (stray == b"\r\n\r\n" and PURE_PYTHON)
                break
            assert isinstance(found, Lead)
            assert found.email == f"a{number}@example.com"
            if when == "later":
                await strayed.wait()
                strayed.clear()
                await asyncio.sleep(0.02)  # Let the stray bytes arrive.
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
    # Without limits on size these would be successes.
    "a header of 1 MiB": http(DONE.encode(), headers=f"X: {'x' * 2**20}\r\n"),
    "a status line of 1 MiB": http(DONE.encode(), f"200 {'x' * 2**20}"),
    "100,000 headers": http(DONE.encode(), headers="X: 1\r\n" * 100_000),
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "cut gzip": http(b"\x1f\x8b\x08", headers="Content-Encoding: gzip\r\n"),
    "no gzip": http(b"<response/>", headers="Content-Encoding: gzip\r\n"),
    "brotli": http(b"x", headers="Content-Encoding: br\r\n"),
}
LENGTH = "not valid HTTP: Content-Length is malformed"
#: The text of the error, with the parser in C.
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
    "upgrade": "unexpected status",
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.fault("F28")
async def test_strange_responses_are_typed_errors_and_the_pool_stays_intact(name: str) -> None:
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
            await asyncio.sleep(0.01)  # Let the end of the connection arrive.
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
async def test_a_gzip_bomb_ends_in_an_error_and_the_pool_stays_intact() -> None:
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
