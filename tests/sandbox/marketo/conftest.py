from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async.sandbox import Sandbox

SAMPLES = Path(__file__).parents[2] / "samples" / "marketo"


class Rest:
    """Calls Marketo without the client: with plain HTTP."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.http = http
        self.token = ""

    async def request_token(self, verb: str = "GET", **changes: str) -> httpx.Response:
        settings = self.sandbox.settings
        parameters = {
            "grant_type": "client_credentials",
            "client_id": settings.marketo_client_id,
            "client_secret": settings.marketo_client_secret,
        } | changes
        if verb == "GET":
            return await self.http.get("/identity/oauth/token", params=parameters)
        return await self.http.post("/identity/oauth/token", data=parameters)

    async def send(self, verb: str, path: str, **options: Any) -> httpx.Response:
        if not self.token:
            self.token = (await self.request_token()).json()["access_token"]
        headers = {"authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return await self.http.request(verb, f"/rest/v1/{path}", headers=headers, **options)

    async def get(self, path: str, **query: Any) -> Any:
        return self._read(await self.send("GET", path, params=query))

    async def post(self, path: str, document: Any = None, **query: Any) -> Any:
        options = {} if document is None else {"json": document}
        return self._read(await self.send("POST", path, params=query, **options))

    def _read(self, response: httpx.Response) -> Any:
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        document = response.json()
        assert isinstance(document["requestId"], str)
        assert document["success"] is ("errors" not in document)
        return document

    async def code(self, path: str, document: Any = None, *, verb: str = "", **query: Any) -> str:
        """The code of a refusal of the whole call."""
        verb = verb or ("GET" if document is None else "POST")
        options = {} if document is None else {"json": document}
        (error,) = self._read(await self.send(verb, path, params=query, **options))["errors"]
        assert error["message"]
        return error["code"]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(marketo_rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
async def rest(sandbox: Sandbox) -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
        yield Rest(sandbox, http)


@pytest.fixture
def by_hand() -> Callable[[Sandbox], Any]:
    """Opens a caller of any sandbox."""

    @contextlib.asynccontextmanager
    async def opened(sandbox: Sandbox) -> AsyncIterator[Rest]:
        async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
            yield Rest(sandbox, http)

    return opened


@pytest.fixture
def sample() -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return json.loads((SAMPLES / f"{name}.json").read_bytes())

    return read
