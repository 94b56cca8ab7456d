"""Every wait on the wire ends, wherever the other side falls silent, even without a total timeout."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from publitrac_async import ApiError, Lead, NotSent, OutcomeUnknown, PublitracClient, PublitracError, Timeout
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from tests.support.clients import client, connector
from tests.support.faults import ONCE
from tests.support.tls import server_context
from tests.support.vendor import DONE, LEAD, Vendor
from tests.support.wire import Peer, RawServer, Seen, http

#: Nothing but these two can end a call here.
TIMEOUT = Timeout(total=None, connect=0.15, read=0.15)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Opening = Callable[[AsyncExitStack, pytest.MonkeyPatch], Any]


async def never(*_: object) -> None:
    await asyncio.Event().wait()


# Where a connection is opened: each gives a client that hangs there.


async def name_resolution(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> PublitracClient:
    """The resolver blocks a thread, as getaddrinfo() does."""
    hangs = threading.Event()
    stack.callback(hangs.set)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hangs.wait(20) and [])
    return client("https://host.example", retry=ONCE, timeout=TIMEOUT)


async def tcp(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> PublitracClient:
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    return client("http://127.0.0.1:9", retry=ONCE, timeout=TIMEOUT)


async def hello(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> PublitracClient:
    server = await stack.enter_async_context(RawServer(Vendor(), greet=says(b"")))
    return client(f"https://127.0.0.1:{server.port}", retry=ONCE, timeout=TIMEOUT)


async def handshake(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> PublitracClient:
    """The first record of TLS begins and does not continue."""
    server = await stack.enter_async_context(RawServer(Vendor(), greet=says(b"\x16\x03\x03\x00\x7a\x02")))
    return client(f"https://127.0.0.1:{server.port}", retry=ONCE, timeout=TIMEOUT)


def proxy(response: bytes, scheme: str = "http") -> Opening:
    async def opening(stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> PublitracClient:
        server = await stack.enter_async_context(RawServer(Vendor(), greet=says(response)))
        monkeypatch.setenv("https_proxy", f"{scheme}://127.0.0.1:{server.port}")
        monkeypatch.setenv("no_proxy", "")
        return client("https://service.test", trust_env=True, retry=ONCE, timeout=TIMEOUT)

    return opening


def says(response: bytes) -> Callable[[Peer], Any]:
    async def greet(peer: Peer) -> bool:
        await peer.write(response)
        return False

    return greet


OPENING: dict[str, Opening] = {
    "name resolution": name_resolution,
    "TCP connection": tcp,
    "TLS, before its first record": hello,
    "TLS, in a record": handshake,
    "proxy, TLS to itself": proxy(b"", "https"),
    "proxy, response to `CONNECT`": proxy(b""),
    "proxy, in the head of that response": proxy(b"HTTP/1.1 200 Conn"),
    "proxy, after an interim response": proxy(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "proxy, TLS through the tunnel": proxy(b"HTTP/1.1 200 Connection established\r\n\r\n"),
}


@pytest.mark.parametrize("stall", OPENING)
@pytest.mark.fault("F07", "F21")
async def test_opening_a_connection_ends_with_connect(stall: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        publitrac = await OPENING[stall](stack, monkeypatch)
        stack.push_async_callback(publitrac.aclose)
        async with asyncio.timeout(10):
            with pytest.raises(NotSent, match="ConnectTimeout") as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
        assert not caught.value.maybe_applied
        assert not connector(publitrac)._acquired


#: The segments of a response, after which the service sends nothing.
RESPONSE: dict[str, list[bytes]] = {
    "response": [],
    "in the status line": [b"HTTP/1.1 20"],
    "in a header": [HEAD + b"X-Long: a"],
    "after an interim response": [b"HTTP/1.1 100 Continue\r\n\r\n"],
    "after several interim responses": [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
    "in an interim response": [b"HTTP/1.1 103 Early Hints\r\nLink: <"],
    "before the body": [HEAD + b"Content-Length: 99\r\n\r\n"],
    "in the body": [HEAD + b"Content-Length: 99\r\n\r\n<resp", b"onse>"],
    "in a body that ends with the connection": [HEAD + b"\r\n<response>"],
    "before the size of a chunk": [CHUNKED, b"5\r\n<resp\r\n"],
    "in the size of a chunk": [CHUNKED + b"5\r\n<resp\r\n", b"1"],
    "in a chunk": [CHUNKED + b"5\r\n<resp\r\n", b"9\r\nonse>"],
    "after a chunk": [CHUNKED + b"5\r\n<resp\r\n", b"5\r\nonse>"],
    "in the trailer": [CHUNKED + b"5\r\n<resp\r\n", b"0\r\nX-Trailer: "],
    "after a malformed chunk": [CHUNKED + b"5\r\n<resp\r\n", b"zz\r\nonse/>\r\n"],
    "after a chunk that is too long": [CHUNKED + b"5\r\n<resp\r\n", b"2\r\nonse/>\r\n"],
}


@asynccontextmanager
async def silent_after(pieces: list[bytes]) -> AsyncIterator[RawServer]:
    async def respond(seen: Seen, peer: Peer) -> None:
        for piece in pieces:
            await peer.write(piece)
            await asyncio.sleep(0.01)  # In separate segments.
        await never()

    async with RawServer(respond) as server:
        yield server


@pytest.mark.parametrize("stall", RESPONSE)
@pytest.mark.fault("F07")
async def test_waiting_for_a_response_ends_with_read(stall: str) -> None:
    async with silent_after(RESPONSE[stall]) as server:
        publitrac = client(server.url, retry=ONCE, timeout=TIMEOUT)
        async with publitrac, asyncio.timeout(10):
            with pytest.raises(OutcomeUnknown) as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
            assert not connector(publitrac)._acquired
    assert caught.value.maybe_applied
    assert ("stopped sending" in str(caught.value)) is (
        "chunk that is" not in stall and "malformed" not in stall
    )


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.fault("F07")
async def test_a_request_that_is_not_taken_ends_with_read(tls: bool) -> None:
    async def never_reads(peer: Peer) -> bool:
        peer.writer.transport.pause_reading()
        return False

    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server_tls = server_context(authority.issue_cert("localhost")) if tls else None
    async with RawServer(Vendor(), greet=never_reads, tls=server_tls) as server:
        url = f"{'https' if tls else 'http'}://localhost:{server.port}"
        options = {"timeout": Timeout(total=None, connect=5, read=0.15)}
        carrier = AiohttpTransport(ssl_context=context)
        publitrac = client(url, retry=ONCE, transport=carrier, **options)
        async with carrier, publitrac, asyncio.timeout(20):
            with pytest.raises(OutcomeUnknown, match="stopped sending"):
                await publitrac.v1.call("addLead", xml="x" * 20_000_000)


async def test_a_request_that_is_taken_slowly_is_no_silence() -> None:
    """A server that reads a large body in small portions gets the time for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        while left > 0:
            for _ in range(20):
                left -= len(await reader.read(min(left, 65536)))
            await asyncio.sleep(0.04)
        writer.write(http(DONE.encode(), content_type="application/xml"))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    publitrac = client(url, retry=ONCE, timeout=Timeout(total=None, connect=5, read=0.5))
    async with publitrac, asyncio.timeout(20):
        started = asyncio.get_running_loop().time()
        await publitrac.v1.call("addLead", xml="x" * 30_000_000)
        assert asyncio.get_running_loop().time() - started > 0.5, "it took longer than `read`"
    server.close()
    await server.wait_closed()


async def test_endless_interim_responses_end() -> None:
    async def respond(seen: Seen, peer: Peer) -> None:
        while True:
            await peer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 10)
            await asyncio.sleep(0)

    async with RawServer(respond) as server:
        publitrac = client(server.url, retry=ONCE, timeout=Timeout(total=None, read=None))
        async with publitrac, asyncio.timeout(10):
            with pytest.raises(OutcomeUnknown, match="too many interim responses"):
                await publitrac.v1.get_lead("a@example.com")


@pytest.mark.fault("F06")
async def test_interim_responses_do_not_extend_the_time_for_a_response() -> None:
    """A response within `read` after the last of them is too late."""

    async def respond(seen: Seen, peer: Peer) -> None:
        while True:
            await peer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            sent.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.03)

    sent = list[float]()
    async with RawServer(respond) as server:
        publitrac = client(server.url, retry=ONCE, timeout=TIMEOUT)
        async with publitrac, asyncio.timeout(10):
            with pytest.raises(OutcomeUnknown, match="stopped sending"):
                await publitrac.v1.get_lead("a@example.com")
    assert len(sent) < 50, "100 of them are too many in any case"


@pytest.mark.fault("F40")
async def test_a_busy_loop_is_no_silence() -> None:
    """The response waits in the kernel while the program computes for longer than `read`."""
    arrived = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            received.set()
            arrived.wait(10)
            connection.sendall(http(DONE.encode(), content_type="application/xml"))
            sent.set()
            connection.recv(1)

    received, sent = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        publitrac = client(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            retry=ONCE,
            timeout=Timeout(total=None, read=0.1),
        )
        async with publitrac, asyncio.timeout(10):
            call = asyncio.create_task(publitrac.v1.call("addLead", xml="<request/>"))
            while not received.is_set():
                await asyncio.sleep(0)
            threading.Timer(0.2, arrived.set).start()
            sent.wait(10)  # Blocks the event loop.
            assert await call
        thread.join(10)


#: Bytes around a response or its body, sent without end: neither silence nor progress.
FLOODS = {
    "blank lines": (b"", b"\r\n"),
    "the extension of a chunk": (CHUNKED + b"5;", b"a=b;"),
    "the size of a chunk": (CHUNKED, b"0"),
    "chunks of one byte": (CHUNKED, b"1\r\n \r\n"),
    "the trailer": (CHUNKED + b"0\r\n", b"A: b\r\n"),
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.fault("F28")
async def test_bytes_around_a_body_have_a_limit(flood: str) -> None:
    async def respond(seen: Seen, peer: Peer) -> None:
        begin, piece = FLOODS[flood]
        await peer.write(begin)
        while not peer.writer.is_closing():
            await peer.write(piece * (100_000 // len(piece)))
            await asyncio.sleep(0)

    async with RawServer(respond) as server:
        publitrac = client(server.url, retry=ONCE, timeout=Timeout(total=None, read=None))
        async with publitrac, asyncio.timeout(20):
            with pytest.raises(OutcomeUnknown) as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
            assert not connector(publitrac)._acquired
    assert caught.value.maybe_applied


async def test_the_limit_on_bytes_around_a_body_counts_for_each_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("publitrac_async.transport.pool._MAX_FRAMING", 1000)
    async with RawServer(Vendor()) as server, client(server.url, retry=ONCE) as publitrac:
        for number in range(40):
            await publitrac.v2.delayed_sync(Lead(email=f"a{number}@example.com"))
        assert server.connections == 1


@pytest.mark.parametrize(("size", "connections"), [(1000, 1), (100_000, 2)])
async def test_a_large_request_that_is_refused_spends_the_connection(size: int, connections: int) -> None:
    """The service may close it with the rest of the request unread, and with it the next request."""

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(DONE.encode(), "413 Too Large" if len(server.seen) == 1 else "200 OK")

    async with RawServer(respond) as server, client(server.url, retry=ONCE) as publitrac:
        with pytest.raises(ApiError, match="send less"):
            await publitrac.v1.call("addLead", xml="x" * size)
        await publitrac.v1.call("addLead", xml="<request/>")
        assert server.connections == connections


@pytest.mark.fault("F28")
async def test_a_response_before_the_end_of_its_request_spends_the_connection() -> None:
    """The service may take the rest of the request for further requests, and respond to them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(http(LEAD.format(email="a@example.com").encode(), content_type="application/xml"))
        else:
            writer.write(http(DONE.encode(), content_type="application/xml"))
            while await reader.read(2**20):
                if read_on.is_set():
                    writer.write(http(LEAD.format(email="stray@example.com").encode()))
                    break
                await read_on.wait()
        await reader.read()
        writer.close()

    connections, read_on = 0, asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with client(url, retry=ONCE, timeout=Timeout(total=None, read=2)) as publitrac, asyncio.timeout(20):
        await publitrac.v1.call("addLead", xml="x" * 20_000_000)
        call = asyncio.create_task(publitrac.v1.get_lead("a@example.com"))
        await asyncio.sleep(0.01)
        read_on.set()
        assert (await call).email == "a@example.com"
    assert connections == 2
    server.close()
    await server.wait_closed()


async def test_waiting_for_a_slot_ends_when_a_call_ends() -> None:
    """A pool that several clients share: each that waits is served, since every exchange ends."""
    async with silent_after([]) as server:
        carrier = AiohttpTransport(pool_size=1)
        publitrac = client(server.url, retry=ONCE, timeout=TIMEOUT, transport=carrier)
        async with carrier, publitrac:
            calls = (publitrac.v1.get_lead(f"a{number}@example.com") for number in range(4))
            async with asyncio.timeout(10):
                results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [OutcomeUnknown] * 4
    assert all(isinstance(result, PublitracError) for result in results)


def test_the_docs_list_every_wait() -> None:
    page = (Path(__file__).parents[3] / "docs/guides/lifetime.md").read_text(encoding="utf-8")
    table = page.partition("| wait | ends with |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE))
    rows.pop("---", None)
    expected = dict.fromkeys(OPENING, "`connect`") | dict.fromkeys(RESPONSE, "`read`")
    expected |= {"after a malformed chunk": "at once", "after a chunk that is too long": "at once"}
    expected |= {
        "slot of the pool": "the end of another call",
        "request that is not received": "`read`",
        "rate limiter": "`queue`, after the first attempt `total`",
    }
    assert rows == expected
