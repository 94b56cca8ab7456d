from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
import pytest

from publitrac_async.sandbox import Sandbox

SAMPLES = Path(__file__).parent / "samples"


class V1:
    """Calls v1 without the client: with plain HTTP and the standard library's XML."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    @property
    def credentials(self) -> dict[str, str]:
        sandbox = self.sandbox
        return {"apikey": sandbox.api_key, "username": sandbox.username, "password": sandbox.password}

    async def send(self, method: str, xml: str | bytes | None = None, **parameters: str) -> httpx.Response:
        """GET without XML; with XML a POST with the credentials in the URL and the rest in the form."""
        if xml is None:
            return await self.http.get("/api", params={"method": method, **self.credentials, **parameters})
        return await self.http.post(
            "/api",
            params={"method": method, **self.credentials},
            # Not httpx's `data`, which would send the representation of bytes.
            content=urlencode({"query": xml, **parameters}),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )

    async def __call__(self, method: str, xml: str | bytes | None = None, **parameters: str) -> ET.Element:
        response = await self.send(method, xml, **parameters)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/xml; charset=UTF-8"
        return ET.fromstring(response.content)


class V2:
    """Calls v2 without the client."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http

    async def token(self) -> str:
        response = await self.http.get("/v2/auth/getToken", headers={"Authorization": self.sandbox.api_key})
        assert response.status_code == 200, response.text
        return response.json()["token"]

    async def sync(self, token: str, document: object) -> httpx.Response:
        return await self.http.post("/v2/lead/delayedSync", headers={"Token": token}, json=document)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    # No TLS here, and loading certificates takes longer than most tests.
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def v1(sandbox: Sandbox, http: httpx.AsyncClient) -> V1:
    return V1(sandbox, http)


@pytest.fixture
def v2(sandbox: Sandbox, http: httpx.AsyncClient) -> V2:
    return V2(sandbox, http)


@pytest.fixture
def in_process() -> Callable[[Sandbox], V1]:
    """A caller of a sandbox without a server; its connections need no closing."""

    def create(sandbox: Sandbox) -> V1:
        transport = httpx.ASGITransport(app=sandbox.app)
        return V1(sandbox, httpx.AsyncClient(transport=transport, base_url="http://sandbox"))

    return create


@pytest.fixture
def sample() -> Callable[[str], str]:
    def read(name: str) -> str:
        return (SAMPLES / name).read_text(encoding="utf-8")

    return read


def flat(element: ET.Element) -> list[tuple[str, str]]:
    """Every leaf below an element in document order: name and text, outer white space of the text removed."""
    return [(leaf.tag, (leaf.text or "").strip()) for leaf in element.iter() if len(leaf) == 0]


@pytest.fixture(name="flat")
def flat_fixture() -> Callable[[ET.Element], list[tuple[str, str]]]:
    return flat


@pytest.fixture
def errors() -> Callable[[ET.Element], list[str]]:
    def texts(response: ET.Element) -> list[str]:
        return [error.text or "" for error in response.findall("errors/error")]

    return texts
