"""The results are the same with every HTTP library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import respx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from publitrac_async import (
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    LeadNotFound,
    NotSent,
    OutcomeUnknown,
    PublitracClient,
    PublitracError,
    Rate,
    RateLimited,
    ServerError,
    UnexpectedContent,
    WindowLimiter,
)
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from publitrac_async.transport.auth import MemoryTokenStore
from tests.support.clients import client, lead, opened
from tests.support.four_vendors import CLIENTS
from tests.support.vendor import DONE, LEAD, Vendor
from tests.support.wire import Peer, RawServer, Seen, http

Responded = tuple[int, dict[str, str], bytes]


class Service:
    """One service for all HTTP libraries: `fault` decides how it behaves."""

    def __init__(self) -> None:
        self.fault: Responded | None = None
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Responded:
        self.seen.append((method, path, query | {"Token": headers.get("token", "")}))
        if path == "/v2/auth/getToken":
            assert headers["authorization"] == "the-key"
            return 200, {}, json.dumps({"token": "t", "ttl": "900"}).encode()
        if self.fault is not None:
            return self.fault
        if path.startswith("/v2"):
            assert headers["token"] == "t"
            return 200, {}, json.dumps({"status": "success", "code": 201}).encode()
        assert query["apikey"] == "the-key"
        assert query["password"] == "the-password"
        return 200, {}, (LEAD.format(email=query["email"]) if method == "GET" else DONE).encode()


def respond(service: Service, request: httpx.Request) -> httpx.Response:
    status, headers, body = service(
        request.method, request.url.path, dict(request.url.params), dict(request.headers)
    )
    return httpx.Response(status, headers=headers, content=body)


@asynccontextmanager
async def mock(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    yield "https://vendor.test", httpx.MockTransport(lambda request: respond(service, request))


@asynccontextmanager
async def asgi(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    async def endpoint(request: Request) -> Response:
        query, headers = dict(request.query_params), dict(request.headers)
        status, fields, body = service(request.method, request.url.path, query, headers)
        return Response(body, status, fields)

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    yield "https://vendor.test", httpx.ASGITransport(app)


@asynccontextmanager
async def respx_router(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    router = respx.Router(assert_all_called=False)
    router.route(host="vendor.test").mock(side_effect=lambda request: respond(service, request))
    yield "https://vendor.test", httpx.MockTransport(router.async_handler)


async def over_sockets(service: Service, stack: AsyncExitStack) -> str:
    async def respond(seen: Seen, peer: Peer) -> bytes:
        status, headers, body = service(seen.method, seen.path, seen.query, seen.headers)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {status} X\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body

    server = await stack.enter_async_context(RawServer(respond))
    return server.url


@asynccontextmanager
async def httpx_sockets(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(httpx.AsyncHTTPTransport())
        yield await over_sockets(service, stack), transport


@asynccontextmanager
async def default(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    async with AsyncExitStack() as stack:
        yield await over_sockets(service, stack), AiohttpTransport()


class Watching(AiohttpTransport):
    """The default transport of a program that inspects its requests: they show no credential."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        shown = f"{request!r} {request.url} {request.headers.multi_items()}"
        assert not any(secret in shown for secret in ("the-password", "the-user", "the-key"))
        assert not {"token", "authorization"} & request.headers.keys()
        return await super().handle_async_request(request)


@asynccontextmanager
async def subclass(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    async with AsyncExitStack() as stack:
        yield await over_sockets(service, stack), Watching()


@asynccontextmanager
async def instrumented(service: Service) -> AsyncIterator[tuple[str, httpx.AsyncBaseTransport]]:
    """Libraries that instrument a transport replace the method of one object."""
    transport = AiohttpTransport()
    send, seen = transport.handle_async_request, list[str]()

    async def watch(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return await send(request)

    transport.handle_async_request = watch  # type: ignore[method-assign]
    async with AsyncExitStack() as stack:
        yield await over_sockets(service, stack), transport
        assert len(seen) == len(service.seen)


CARRIERS = [default, subclass, instrumented, mock, asgi, respx_router, httpx_sockets]
Carrier = Callable[[Service], Any]


@asynccontextmanager
async def through(carrier: Carrier) -> AsyncIterator[tuple[Service, PublitracClient]]:
    service = Service()
    async with carrier(service) as (url, transport), opened(url, transport=transport) as publitrac:
        yield service, publitrac


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.__name__)
async def test_successes_are_the_same(carrier: Carrier) -> None:
    async with through(carrier) as (service, publitrac):
        assert (await publitrac.v1.get_lead("ada+x@example.com")).email == "ada+x@example.com"
        await publitrac.v1.sync_lead(lead())
        accepted = await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(20)))
        assert {one.status for one in accepted} == {"success"}
        assert [(method, path) for method, path, _ in service.seen] == [
            ("GET", "/api"),
            ("POST", "/api"),
            ("GET", "/v2/auth/getToken"),
            *[("POST", "/v2/lead/delayedSync")] * 20,
        ]


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.__name__)
@pytest.mark.parametrize(
    ("fault", "kind", "sent"),
    [
        ((500, {}, b"x"), ServerError, 4),
        ((429, {"Retry-After": "0"}, b"x"), RateLimited, 4),
        ((401, {}, b""), AuthenticationError, 1),
        ((302, {"Location": "https://elsewhere.test/"}, b""), UnexpectedContent, 1),
        ((200, {}, b"<html>"), UnexpectedContent, 1),
        ((200, {}, b"<response>"), UnexpectedContent, 4),
        ((200, {"Content-Encoding": "br"}, b"x"), UnexpectedContent, 1),
        ((200, {}, b"<response><status>9015</status></response>"), LeadNotFound, 1),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else getattr(value, "__name__", str(value)),
)
@pytest.mark.fault("F10", "F12", "F15")
async def test_failures_are_the_same(
    carrier: Carrier, fault: Responded, kind: type[PublitracError], sent: int
) -> None:
    async with through(carrier) as (service, publitrac):
        service.fault = fault
        with pytest.raises(PublitracError) as caught:
            await publitrac.v1.get_lead("a@example.com")
        error = caught.value
        assert type(error) is kind
        assert (error.attempts, len(service.seen)) == (sent, sent)
        assert error.status == fault[0]
        assert error.operation == "getLead"
        assert not error.maybe_applied


async def test_respx_patches_requests_of_httpx() -> None:
    """respx cannot see the credentials, since it builds what it shows from what is shown to it."""
    with respx.mock as router:
        route = router.get(host="vendor.test", path="/api").mock(
            return_value=httpx.Response(200, content=LEAD.format(email="a@example.com").encode())
        )
        async with opened("https://vendor.test", transport=httpx.AsyncHTTPTransport()) as publitrac:
            assert (await publitrac.v1.get_lead("a@example.com")).email == "a@example.com"
        assert route.call_count == 1


@pytest.mark.parametrize(
    ("raised", "kind", "sent"),
    [
        (httpx.ConnectError("x"), NotSent, 4),
        (httpx.ConnectTimeout("x"), NotSent, 4),
        (httpx.PoolTimeout("x"), NotSent, 4),
        (httpx.ReadError("x"), OutcomeUnknown, 1),
        (httpx.ReadTimeout("x"), OutcomeUnknown, 1),
        (httpx.RemoteProtocolError("x"), OutcomeUnknown, 1),
        (httpx.StreamClosed(), OutcomeUnknown, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_errors_that_a_transport_raises(
    raised: Exception, kind: type[PublitracError], sent: int
) -> None:
    requests: list[httpx.Request] = []

    def fails(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise raised

    async with opened("https://vendor.test", transport=httpx.MockTransport(fails)) as publitrac:
        with pytest.raises(PublitracError) as caught:
            await publitrac.v1.call("addLead", xml="<request/>")
    assert type(caught.value) is kind
    assert len(requests) == sent
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_mistake_in_a_mock_is_not_dressed_up() -> None:
    def wrong(request: httpx.Request) -> httpx.Response:
        raise AssertionError("unexpected request")

    async with opened("https://vendor.test", transport=httpx.MockTransport(wrong)) as publitrac:
        with pytest.raises(AssertionError, match="unexpected request"):
            await publitrac.v1.get_lead("a@example.com")


async def test_a_client_leaves_limiter_and_token_store_open_for_other_clients() -> None:
    closed: list[object] = []

    class Limiter(WindowLimiter):
        async def aclose(self) -> None:
            closed.append(self)

    class Store(MemoryTokenStore):
        async def aclose(self) -> None:
            closed.append(self)

    limiter, store = Limiter(Rate(35)), Store()
    async with PublitracClient(api_key="key", limiter=limiter, token_store=store):
        pass
    async with MarketoClient(
        munchkin_id="123-ABC-456", client_id="a", client_secret="b", limiter=limiter, token_store=store
    ):
        pass
    assert closed == []


async def test_who_opened_a_transport_closes_it() -> None:
    class Closes(httpx.MockTransport):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    transport = Closes(lambda request: httpx.Response(500))
    async with client("https://vendor.test", transport=transport):
        pass
    assert transport.closed == 0


async def test_clients_share_a_transport_and_its_connections() -> None:
    async with RawServer(Vendor()) as server, AiohttpTransport() as transport:
        for _ in range(3):
            async with client(server.url, transport=transport) as publitrac:
                await publitrac.v1.get_lead("a@example.com")
        assert server.connections == 1


async def test_a_closed_transport_is_no_failure_of_the_network() -> None:
    async with RawServer(Vendor()) as server:
        transport = AiohttpTransport()
        async with client(server.url, transport=transport) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
            await transport.aclose()
            with pytest.raises(ClientStateError, match="the transport is closed") as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
        assert (caught.value.attempts, caught.value.maybe_applied) == (1, False)
        with pytest.raises(ConfigurationError, match="closed"):
            client(server.url, transport=transport)
        assert len(server.seen) == 1


@pytest.mark.parametrize("chunked", [0, 1000])
async def test_a_body_that_is_read_slowly_arrives_completely(chunked: int) -> None:
    """The connection stops reading while much of the body waits, and reads on with the reader."""
    body = b"".join(b"%07d\n" % number for number in range(100_000))

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(body, chunked=chunked)

    async with RawServer(respond) as server, AiohttpTransport() as transport:
        for _ in range(2):
            response = await transport.handle_async_request(httpx.Request("GET", server.url))
            assert transport._pool is not None
            (protocol,) = transport._pool.connector._acquired
            async with asyncio.timeout(20):
                while not protocol._reading_paused:
                    await asyncio.sleep(0)
                assert await response.aread() == body
            await response.aclose()
        assert server.connections == 1


def test_a_transport_belongs_to_one_event_loop() -> None:
    async def use(transport: AiohttpTransport) -> None:
        async with RawServer(Vendor()) as server, client(server.url, transport=transport) as publitrac:
            await publitrac.v1.get_lead("a@example.com")

    with asyncio.Runner() as first, asyncio.Runner() as second:
        transport = AiohttpTransport()
        first.run(use(transport))
        with pytest.raises(ClientStateError, match="event loop"):
            second.run(use(transport))
        first.run(transport.aclose())


class Foreign:
    """A transport of another library."""

    async def handle_async_request(self, request: object) -> object:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("httpx2._transports.mock", "an httpx2.Foreign, but this package uses httpx"),
        ("mine", "not Foreign"),
    ],
)
@pytest.mark.parametrize("build", CLIENTS.values())
def test_objects_that_are_not_transports_are_refused(
    build: Callable[..., Any], module: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Foreign, "__module__", module)
    with pytest.raises(ConfigurationError, match=text):
        build("https://vendor.test", transport=Foreign())
    with pytest.raises(ConfigurationError, match="not HTTPTransport"):
        build("https://vendor.test", transport=httpx.HTTPTransport())
    with pytest.raises(ConfigurationError, match="not AsyncClient: pass the transport itself"):
        build("https://vendor.test", transport=httpx.AsyncClient())
