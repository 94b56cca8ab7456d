from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from publitrac_async.config import CONCURRENCY
from publitrac_async.sandbox import Fault, Sandbox


@pytest.fixture
def module(example):
    return example("aiohttp_service")


@pytest.fixture
async def service(module, lifetimes) -> AsyncIterator[aiohttp.ClientSession]:
    """The service on a socket, and a client that calls it."""
    runner = web.AppRunner(module.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        yield session
    await runner.cleanup()
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

    methods = [arrival.method for arrival in sandbox.journal.arrivals]
    assert methods == ["getToken", "delayedSync", "delayedSync", "delayedSync", "getLead"]
    assert sandbox.lead("ada2@example.com")["firstName"] == "Ada"


async def test_errors_become_statuses_without_personal_data(service, sandbox) -> None:
    async with service.get("/leads/nobody@example.com") as response:
        assert response.status == 404
        assert "nobody" not in await response.text()
    async with service.post("/leads", json={"email": "no address"}) as response:
        assert response.status == 422
    sandbox.inject(Fault("html", match="v1"))
    async with service.get("/leads/ada@example.com") as response:
        assert response.status == 502


async def test_look_ups_that_take_too_long_give_their_slots_back(module, service, sandbox) -> None:
    sandbox.seed(leads=[{"email": "ada@example.com"}])
    sandbox.inject(Fault("delay", match="v1.getLead", seconds=60, times=None))

    async def look_up() -> int:
        async with service.get("/leads/ada@example.com") as response:
            return response.status

    module.LOOKUP_TIMEOUT = 0.2
    statuses = await asyncio.gather(*(look_up() for _ in range(CONCURRENCY + 8)))
    assert statuses == [504] * (CONCURRENCY + 8)
    sandbox.clear_faults()

    module.LOOKUP_TIMEOUT = 30.0
    assert [await look_up() for _ in range(20)] == [200] * 20
