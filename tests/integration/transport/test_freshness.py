"""A kept connection is used again only if it is fresh when the request is written."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import trustme

from publitrac_async import DeadlineExceeded, NotSent, PublitracClient, Timeout
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from publitrac_async.transport.events import RequestSent
from tests.support.clients import connector, opened
from tests.support.faults import ONCE
from tests.support.threaded import Mode, ThreadedServer, close, reset
from tests.support.tls import server_context
from tests.support.vendor import DONE, LEAD
from tests.support.wire import http

APPENDED = "<request><lead/></request>"
MODES: tuple[Mode, ...] = ("plain", "tls", "proxy", "tunnel")


def respond(head: str) -> bytes:
    email = head.partition("email=")[2].partition(" ")[0].replace("%40", "@")
    text = LEAD.format(email=email) if head.startswith("GET") else DONE
    return http(text.encode(), content_type="application/xml")


class Trust:
    """A certificate of the server, and a client context that trusts it."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server = server_context(authority.issue_cert("localhost"))
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def trust() -> Trust:
    return Trust()


@contextmanager
def serving(mode: Mode, trust: Trust) -> Iterator[ThreadedServer]:
    tls = trust.server if mode in ("tls", "tunnel") else None
    with ThreadedServer(respond, mode=mode, tls=tls) as server:
        yield server


@asynccontextmanager
async def reaching(
    server: ThreadedServer, mode: Mode, trust: Trust, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[PublitracClient]:
    through_proxy = mode in ("proxy", "tunnel")
    if through_proxy:
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("no_proxy", "")
    transport = AiohttpTransport(ssl_context=trust.client, trust_env=through_proxy)
    scheme = "https" if mode in ("tls", "tunnel") else "http"
    async with opened(f"{scheme}://localhost:{server.port}", transport=transport, **options) as publitrac:
        yield publitrac


def stray(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def too_late(connection: socket.socket) -> None:
    """A proxy tells an idle connection that its request took too long."""
    connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    close(connection)


SPOILS: dict[str, Callable[[socket.socket], None]] = {
    "a second response": stray(respond("GET /?email=stray@example.com ")),
    "408": too_late,
    "closed": close,
    "reset": reset,
    "garbage": stray(b"\0"),
    "an interim response": stray(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "half a head": stray(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a line break": stray(b"\r\n"),
}


class Busy:
    """A limiter that keeps the event loop busy until the server has made the connection unusable."""

    def __init__(self, server: ThreadedServer) -> None:
        self.server = server
        self.spoilt = 0

    async def acquire(self) -> None:
        if self.spoilt:
            self.server.meanwhile()
            self.spoilt -= 1

    def pause(self, seconds: float) -> None: ...


@pytest.mark.parametrize("when", ["the loop is busy", "the loop turns", "the limiter is waited for"])
@pytest.mark.parametrize(
    ("mode", "spoil"),
    [
        *(("plain", spoil) for spoil in SPOILS),
        *((mode, spoil) for mode in MODES[1:] for spoil in ("a second response", "closed")),
    ],
)
@pytest.mark.fault("F28")
async def test_a_spoilt_connection_is_replaced_before_anything_is_sent(
    mode: Mode, spoil: str, when: str, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[object] = []
    with serving(mode, trust) as server:
        limiter = Busy(server)
        options = {"retry": ONCE, "limiter": limiter, "hooks": [events.append]}
        async with reaching(server, mode, trust, monkeypatch, **options) as publitrac:
            server.after = SPOILS[spoil]
            for number in range(3):
                email = f"a{number}@example.com"
                assert (await publitrac.v1.get_lead(email)).email == email
                if when == "the limiter is waited for":
                    limiter.spoilt = 1
                else:
                    server.meanwhile()
                if when == "the loop turns":
                    await asyncio.sleep(0.001)
            await publitrac.v1.call("addLead", xml=APPENDED)
    assert [head.split(" ")[0] for head in server.requests] == ["GET"] * 3 + ["POST"]
    assert server.connections == 4
    assert sum(isinstance(event, RequestSent) for event in events) == 4


@pytest.mark.parametrize("mode", MODES)
async def test_a_connection_that_nothing_happens_to_is_used_again(
    mode: Mode, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there are messages of TLS to be read."""
    with serving(mode, trust) as server:
        async with reaching(server, mode, trust, monkeypatch, retry=ONCE) as publitrac:
            server.after = lambda _: None
            for _ in range(5):
                await publitrac.v1.call("addLead", xml=APPENDED)
                server.meanwhile()
    assert server.connections == 1


class Gate:
    """A limiter that lets requests through while it is open."""

    def __init__(self) -> None:
        self.open, self.reached = asyncio.Event(), asyncio.Event()

    async def acquire(self) -> None:
        self.reached.set()
        await self.open.wait()

    def pause(self, seconds: float) -> None: ...


async def test_a_connection_is_kept_when_its_call_is_cancelled_before_anything_is_sent() -> None:
    with ThreadedServer(respond) as server:
        gate = Gate()
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE, limiter=gate) as publitrac:
            for _ in range(3):
                task = asyncio.create_task(publitrac.v1.call("addLead", xml=APPENDED))
                await gate.reached.wait()
                gate.reached.clear()
                task.cancel()
                await asyncio.wait([task])
            gate.open.set()
            await publitrac.v1.call("addLead", xml=APPENDED)
    assert len(server.requests) == server.connections == 1


async def test_a_call_that_is_cancelled_does_not_extend_the_announced_life_of_its_connection() -> None:
    def hints(head: str) -> bytes:
        return respond(head).replace(b"\r\n", b"\r\nKeep-Alive: timeout=5\r\n", 1)

    now = 1000.0
    with ThreadedServer(hints) as server:
        gate = Gate()
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE, limiter=gate) as publitrac:
            gate.open.set()
            await publitrac.v1.get_lead("a@example.com")
            pool = publitrac._transport._wire._transport._pool  # type: ignore[attr-defined]
            pool._clock = lambda: now
            await publitrac.v1.get_lead("b@example.com")
            before = server.connections
            now += 3
            gate.open.clear()
            gate.reached.clear()
            task = asyncio.create_task(publitrac.v1.get_lead("c@example.com"))  # type: ignore[var-annotated, arg-type]
            await gate.reached.wait()
            task.cancel()
            await asyncio.wait([task])
            gate.open.set()
            now += 1.1
            await publitrac.v1.get_lead("d@example.com")
    assert server.connections == before + 1


async def test_a_connection_that_stays_readable_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadedServer(respond) as server:
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
            [[(first, _)]] = connector(publitrac)._conns.values()
            monkeypatch.setattr(type(first), "is_readable", lambda protocol: protocol is first)
            async with asyncio.timeout(10):
                await publitrac.v1.get_lead("b@example.com")
    assert server.connections == 2


async def test_a_pool_full_of_closed_connections_costs_no_attempt() -> None:
    with ThreadedServer(respond) as server:
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE) as publitrac:
            together = [publitrac.v1.get_lead(f"a{number}@example.com") for number in range(20)]
            await asyncio.gather(*together)
            assert server.connections > 5
            server.close_all()
            await publitrac.v1.call("addLead", xml=APPENDED)
    assert len(server.requests) == 21


async def test_a_request_that_never_left_is_not_called_maybe_applied() -> None:
    """The connection became unusable after the limiter let the request leave, and there is no other."""
    with ThreadedServer(respond) as server:
        limiter = Busy(server)
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE, limiter=limiter) as publitrac:
            server.after = close
            await publitrac.v1.get_lead("a@example.com")
            limiter.spoilt = 1
            server.stop_listening()
            with pytest.raises(NotSent) as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
    assert not caught.value.maybe_applied


async def test_time_that_is_up_while_another_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadedServer(respond) as server:
        limiter = Busy(server)
        options = {"retry": ONCE, "limiter": limiter, "timeout": Timeout(total=0.2)}
        async with opened(f"http://127.0.0.1:{server.port}", **options) as publitrac:
            server.after = close
            await publitrac.v1.get_lead("a@example.com")
            limiter.spoilt = 1

            async def hang(*_: object, **__: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(connector(publitrac), "_create_connection", hang)
            with pytest.raises(DeadlineExceeded, match="before anything was sent") as caught:
                await publitrac.v1.call("addLead", xml=APPENDED)
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    ("hint", "idle", "connections"),
    [
        ("timeout=5", 3.9, 1),
        ("timeout=5", 4.1, 2),
        ("timeout=5, max=100", 4.1, 2),
        ("max=100, Timeout = 5", 4.1, 2),
        ("timeout=1", 0.4, 1),
        ("timeout=1", 0.6, 2),
        ("timeout=0", 0.0, 2),
        ("timeout=99999999999999999999", 10.0, 1),
        ("timeout=soon", 10.0, 1),
        ("max=5", 10.0, 1),
    ],
)
async def test_the_announced_life_of_an_idle_connection_is_respected(
    hint: str, idle: float, connections: int
) -> None:
    def hints(head: str) -> bytes:
        return respond(head).replace(b"\r\n", f"\r\nKeep-Alive: {hint}\r\n".encode(), 1)

    now = 1000.0
    with ThreadedServer(hints) as server:
        async with opened(f"http://127.0.0.1:{server.port}", retry=ONCE) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
            carrier = publitrac._transport._wire._transport
            assert isinstance(carrier, AiohttpTransport)
            assert carrier._pool is not None
            monkey = carrier._pool
            monkey._clock = lambda: now
            await publitrac.v1.get_lead("b@example.com")
            now += idle
            first = server.connections
            await publitrac.v1.get_lead("c@example.com")
    assert server.connections - first + 1 == connections
