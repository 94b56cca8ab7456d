from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn

from publitrac_async.config import CONCURRENCY
from publitrac_async.sandbox import Fault, Sandbox


@pytest.fixture
async def service(example, lifetimes) -> AsyncIterator[aiohttp.ClientSession]:
    """The service behind uvicorn, and a client that calls it."""
    config = uvicorn.Config(example("fastapi_service").app, port=0, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        yield session
    server.should_exit = True
    await serving
    assert len(lifetimes.clients) == 1
    assert lifetimes.closed == lifetimes.clients


async def test_leads_go_in_and_come_back(service: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    for number in range(3):
        form = {"email": f"ada{number}@example.com", "first_name": "Ada"}
        async with service.post("/leads", json=form) as response:
            assert response.status == 202
    sandbox.process_now()
    async with service.get("/leads/ada1@example.com") as response:
        assert await response.json() == {"id": 2, "score": 0}

    assert [arrival.method for arrival in sandbox.journal.arrivals] == [
        "getToken",
        "delayedSync",
        "delayedSync",
        "delayedSync",
        "getLead",
    ]
    assert sandbox.lead("ada2@example.com")["firstName"] == "Ada"


async def test_a_name_that_is_not_given_is_kept(service: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    sandbox.seed(leads=[{"email": "ada@example.com", "firstName": "Ada"}])
    async with service.post("/leads", json={"email": "ada@example.com"}) as response:
        assert response.status == 202
    sandbox.process_now()
    assert sandbox.lead("ada@example.com")["firstName"] == "Ada"


async def test_errors_become_statuses_without_personal_data(service, sandbox) -> None:
    async with service.get("/leads/nobody@example.com") as response:
        assert response.status == 404
        assert "nobody" not in await response.text()
    async with service.post("/leads", json={"email": "no address"}) as response:
        assert response.status == 422
    sandbox.inject(Fault("html", match="v1"))
    async with service.get("/leads/ada@example.com") as response:
        assert response.status == 502


async def test_callers_who_hang_up_give_their_slots_back(service, sandbox) -> None:
    sandbox.seed(leads=[{"email": "ada@example.com"}])
    sandbox.inject(Fault("delay", match="v1.getLead", seconds=60, times=None))

    async def look_up() -> int:
        async with service.get("/leads/ada@example.com") as response:
            return response.status

    callers = [asyncio.create_task(look_up()) for _ in range(CONCURRENCY + 8)]
    while sandbox.journal.count(method="getLead") < CONCURRENCY:
        await asyncio.sleep(0.01)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    sandbox.clear_faults()

    async with asyncio.timeout(30):
        assert [await look_up() for _ in range(20)] == [200] * 20
