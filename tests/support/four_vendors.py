"""All clients and façades, calls of each with credentials and persons that are recognised, a service for all.

Tests that concern every vendor take them from here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from publitrac_async import Lead, PublitracClient, RetryPolicy, Timeout
from publitrac_async.bulk import MarketoSink, VitecSink
from publitrac_async.marketo import MarketoClient
from publitrac_async.protocols import MarketoApi, V1Api, V2Api, VitecApi
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from publitrac_async.transport.base import BaseClient
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2
from publitrac_async.vitec import Email, LeadSource, Person, PersonLead, VitecClient
from tests.support.canaries import Canaries
from tests.support.clients import unlimited
from tests.support.vendor import DONE, LEAD
from tests.support.wire import Peer, RawServer, Seen, http

CANARIES = Canaries()
Send = Callable[..., Awaitable[object]]


def respond(method: str, path: str) -> bytes:
    """The response of the vendor that has this path."""
    if path.endswith("/api"):
        return (LEAD.format(email=CANARIES.email) if method == "GET" else DONE).encode()
    if path.endswith("/getToken"):
        content: Any = {"token": CANARIES.token, "ttl": "900"}
    elif path.endswith("/delayedSync"):
        content = {"status": "success", "code": 201}
    elif path.endswith("/oauth/token"):
        content = {"access_token": CANARIES.token, "token_type": "bearer", "expires_in": 3600}
    elif path.startswith("/rest/"):
        item = {"id": 7, "status": "updated"} if method == "POST" else {"id": 7, "email": CANARIES.email}
        content = {"requestId": "e42b#1", "result": [item], "success": True}
    else:
        content = "d7e2f5a4-8f0e-4d12-9b53-0e1d3a7c5b61"
    return json.dumps(content).encode()


def publitrac(url: str, **options: Any) -> PublitracClient:
    keys = {"api_key": CANARIES.api_key, "username": CANARIES.username, "password": CANARIES.password}
    return PublitracClient(**{"base_url": url} | unlimited(options) | keys | options)


def lead() -> Lead:
    return Lead(email=CANARIES.email, first_name=CANARIES.first_name)


async def v1_query(url: str, **options: Any) -> object:
    async with publitrac(url, **options) as client:
        return await client.v1.get_lead(CANARIES.email)


async def v1_page(url: str, **options: Any) -> object:
    async with publitrac(url, **options) as client:
        return await anext(aiter(client.v1.get_list(CANARIES.first_name)))


async def v1_body(url: str, **options: Any) -> object:
    async with publitrac(url, credentials_in="body", **options) as client:
        return await client.v1.sync_lead(lead())  # type: ignore[func-returns-value]


async def v2(url: str, **options: Any) -> object:
    async with publitrac(url, **options) as client:
        return await client.v2.delayed_sync(lead())


def marketo(url: str, **options: Any) -> MarketoClient:
    keys = {"client_id": CANARIES.username, "client_secret": CANARIES.api_key}
    return MarketoClient(**{"base_url": url} | unlimited(options) | keys | options)


async def marketo_write(url: str, **options: Any) -> object:
    async with marketo(url, **options) as client:
        return await client.sync_leads([{"email": CANARIES.email, "firstName": CANARIES.first_name}])


async def marketo_page(url: str, **options: Any) -> object:
    async with marketo(url, **options) as client:
        return await anext(aiter(client.get_leads_by_filter_type("email", [CANARIES.email])))


def vitec_client(url: str, **options: Any) -> VitecClient:
    keys = {"username": CANARIES.username, "password": CANARIES.password}
    return VitecClient(**{"base_url": url} | unlimited(options) | keys | options)


def person_lead() -> PersonLead:
    email = Email(email_address=CANARIES.email)
    person = Person(first_name=CANARIES.first_name, last_name=CANARIES.first_name, email=email)
    return PersonLead(person=person, lead_source=LeadSource(name="Web"))


async def vitec(url: str, **options: Any) -> object:
    async with vitec_client(url, **options) as client:
        return await client.create_person_lead("M30011", person_lead())


#: Every client, and a function that makes one.
CLIENTS: dict[type[BaseClient], Callable[..., BaseClient]] = {
    PublitracClient: publitrac,
    MarketoClient: marketo,
    VitecClient: vitec_client,
}
#: The class with the methods of each protocol.
FACADES: dict[type, type] = {V1Api: V1, V2Api: V2, MarketoApi: MarketoClient, VitecApi: VitecClient}

#: Every sink by its name: a function that makes its client, and one that makes the sink of it.
SINKS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "v1": (publitrac, lambda client: client.v1),
    "v2": (publitrac, lambda client: client.v2),
    "marketo": (marketo, MarketoSink),
    "vitec": (vitec_client, lambda client: VitecSink(client, "M30011", lead_source=LeadSource(name="Web"))),
}

SENDS: dict[str, Send] = {
    send.__name__: send for send in (v1_query, v1_page, v1_body, v2, marketo_write, marketo_page, vitec)
}

#: One immediate retry, within a short time limit.
OPTIONS: dict[str, Any] = {
    "retry": RetryPolicy(attempts=2, base=0, throttle_base=0, cost=0),
    "timeout": Timeout(total=5, connect=1, read=1),
}


@asynccontextmanager
async def default() -> AsyncIterator[tuple[str, Callable[[], httpx.AsyncBaseTransport]]]:
    async with serving() as server:
        yield server.url, AiohttpTransport


@asynccontextmanager
async def httpx_sockets() -> AsyncIterator[tuple[str, Callable[[], httpx.AsyncBaseTransport]]]:
    async with serving() as server:
        yield server.url, httpx.AsyncHTTPTransport


@asynccontextmanager
async def mock() -> AsyncIterator[tuple[str, Callable[[], httpx.AsyncBaseTransport]]]:
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return httpx.Response(200, content=respond(request.method, request.url.path))

    yield "https://vendor.test", lambda: httpx.MockTransport(handle)


@asynccontextmanager
async def asgi() -> AsyncIterator[tuple[str, Callable[[], httpx.AsyncBaseTransport]]]:
    async def endpoint(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(respond(request.method, request.url.path))

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    yield "https://vendor.test", lambda: httpx.ASGITransport(app)


CARRIERS = {carrier.__name__: carrier for carrier in (default, httpx_sockets, mock, asgi)}


@asynccontextmanager
async def serving() -> AsyncIterator[RawServer]:
    """Head and body arrive apart, so that both are waited for."""

    async def serve(seen: Seen, peer: Peer) -> bytes:
        kind = "application/xml" if seen.path.endswith("/api") else "application/json"
        response = http(respond(seen.method, seen.path), content_type=kind)
        await peer.write(response[:-10])
        await asyncio.sleep(0.001)
        return response[-10:]

    async with RawServer(serve) as server:
        yield server
