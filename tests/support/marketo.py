"""A client of Marketo with scripted responses, and a record of its requests."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field

from publitrac_async import RetryPolicy
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.limits import Unlimited
from publitrac_async.transport.operation import ServiceResponse
from tests.support.clients import EAGER
from tests.support.clock import now

SAMPLES = Path(__file__).parents[1] / "samples" / "marketo"
HOST = "https://123-abc-456.mktorest.com"
ID, SECRET = "the-client-id", "the-client-secret"


def sample(name: str) -> Any:
    """Return a sample of the vendor's page."""
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def response(content: Any, status: int = 200) -> ServiceResponse:
    """Return a response as the parsers take it; `content` is a document, or bytes."""
    return ServiceResponse(status, content if isinstance(content, bytes) else json.dumps(content).encode())


def result(*items: Any, **more: Any) -> dict[str, Any]:
    """Return a successful response."""
    return {"requestId": "e42b#14272d07d78", "result": list(items), "success": True, **more}


def refused(*codes: str, message: str = "No.") -> dict[str, Any]:
    """Return a refusal of the whole call."""
    errors = [{"code": code, "message": message} for code in codes]
    return {"requestId": "e42b#14272d07d78", "success": False, "errors": errors}


@define
class Sent:
    """A request as it would have been sent."""

    verb: str
    path: str
    query: list[tuple[str, str]]
    target: str
    headers: httpx.Headers
    body: bytes
    at: float
    timeout: dict[str, float]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode(), strict_parsing=True))


@define
class Service:
    """Responds from a script of documents, bytes, responses or exceptions; the last one repeats."""

    responses: list[Any]
    sent: list[Sent] = field(factory=list)
    token_requests: list[Sent] = field(factory=list)
    lives: list[Any] = field(factory=lambda: [3600])
    calls: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        path, _, query = target.partition("?")
        seen = Sent(
            request.method,
            path,
            urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)),
            target,
            request.headers,
            await request.aread(),
            now(),
            request.extensions["timeout"],
        )
        if path == "/identity/oauth/token":
            self.token_requests.append(seen)
            life = self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
            if isinstance(life, httpx.Response):
                return life
            token = {
                "access_token": f"token-{len(self.token_requests)}",
                "token_type": "bearer",
                "expires_in": life,
            }
            return httpx.Response(200, json=token)
        self.sent.append(seen)
        reply = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if callable(reply) and not isinstance(reply, type):
            reply = reply(seen)
            if hasattr(reply, "__await__"):
                reply = await reply
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)
        if isinstance(reply, bytes):
            return httpx.Response(200, content=reply)
        return httpx.Response(200, json=reply)


@contextlib.asynccontextmanager
async def serving(*responses: Any, **options: Any) -> AsyncIterator[tuple[MarketoClient, Service]]:
    """Yield a client in the time of the running loop, and its service."""
    service = Service(list(responses), lives=options.pop("lives", [3600]))
    settings: dict[str, Any] = {
        "base_url": HOST,
        "client_id": ID,
        "client_secret": SECRET,
        "limiter": Unlimited(clock=now),
        "retry": EAGER,
        "transport": httpx.MockTransport(service),
    }
    async with MarketoClient(**settings | options) as marketo:
        marketo._transport._clock = marketo._transport.gate._clock = now  # type: ignore[attr-defined]
        marketo._transport._draw = lambda: 0.5
        marketo._clock = marketo._token._clock = now
        yield marketo, service


PATIENT = RetryPolicy()


GOOD = {"id": 1, "status": "updated"}
