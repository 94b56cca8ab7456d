"""A client of v1 with scripted responses, and a record of its requests."""

from __future__ import annotations

import contextlib
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field

from publitrac_async import PublitracClient, RetryPolicy
from publitrac_async.v1 import V1

SAMPLES = Path(__file__).parents[1] / "samples"
DONE = b"<response><status>2000</status><message>Done.</message></response>"


def sample(name: str) -> bytes:
    """Return a file of `tests/samples`."""
    return (SAMPLES / name).read_bytes()


def response(
    content: str = "", *, status: int = 2000, message: str = "", errors: Iterable[str] = ()
) -> bytes:
    """Return a response in the envelope of the documents."""
    lines = "".join(f"<error>{line}</error>" for line in errors)
    failed = f"<errors>{lines}</errors>" if lines else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<response>{content}<status>{status}</status><message>{message}</message>{failed}</response>"
    ).encode()


@define
class Sent:
    """One request as the service sees it."""

    verb: str
    host: str
    path: str
    query: dict[str, str]
    form: dict[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters of the method, from query and form."""
        return {
            name: value
            for name, value in (self.query | self.form).items()
            if name not in ("method", "apikey", "username", "password", "query")
        }

    @property
    def document(self) -> Any:
        """The XML in `query`."""
        return tree((self.query | self.form)["query"])


@define
class Service:
    """Returns `responses` in turn, the last of them again and again; an `httpx.Response` unchanged."""

    responses: list[bytes | httpx.Response]
    sent: list[Sent] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(
            Sent(
                request.method,
                request.url.host,
                request.url.path,
                dict(urllib.parse.parse_qsl(request.url.query.decode(), True, True)),
                dict(urllib.parse.parse_qsl(request.content.decode(), True)),
            )
        )
        found = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(found, httpx.Response):
            return found
        return httpx.Response(200, content=found, headers={"content-type": "text/xml"})

    @property
    def last(self) -> Sent:
        return self.sent[-1]


@contextlib.asynccontextmanager
async def v1(*responses: bytes | httpx.Response, **options: Any) -> AsyncIterator[tuple[V1, Service]]:
    """Yield `client.v1` and its service."""
    service = Service(list(responses) or [DONE])
    settings: dict[str, Any] = {
        "api_key": "the-key",
        "username": "the-user",
        "password": "the-password",
        "rate_limit": None,
        "retry": RetryPolicy(attempts=1),
        "transport": httpx.MockTransport(service),
    }
    async with PublitracClient(**settings | options) as publitrac:
        yield publitrac.v1, service


def tree(document: bytes | str) -> Any:
    """Return a document as the standard library reads it: name, stripped text, children."""
    return _node(ET.fromstring(document))


def _node(element: ET.Element) -> Any:
    text = (element.text or "").strip(" \t\r\n")
    return (element.tag, text, [_node(child) for child in element])
