"""The service and two workers of `examples/several_hosts`, as a reader would start them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.support.commands import Program, start_program
from tests.support.redis_server import Server

from .conftest import EXAMPLES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")
FOLDER = EXAMPLES / "several_hosts"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processing_delay=0, rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Server(tmp_path_factory.mktemp("server"), appendonly="yes", appendfsync="always")
    server.start()
    yield server
    server.stop()


class Hosts:
    """Programs of the example, which end with the test."""

    def __init__(self, folder: Path, redis_url: str, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._variables = {
            **os.environ,
            "PYTHONPATH": str(EXAMPLES.parent),
            "PUBLITRAC_REDIS_URL": redis_url,
            "CRM_DATABASE": str(folder / "crm.sqlite"),
            "LEADS_FOLDER": str(folder),
        }

    async def start(self, *arguments: str) -> Program:
        process = await start_program(*arguments, cwd=self.folder, variables=self._variables)
        self._stack.push_async_callback(self.end, process, signal.SIGKILL)
        return process

    async def end(self, process: Program, name: signal.Signals) -> str:
        if process.returncode is None:
            process.send_signal(name)
        _, err = await process.communicate()
        return err.decode()

    async def service(self) -> tuple[Program, aiohttp.ClientSession]:
        process = await self.start("-m", "uvicorn", "--app-dir", str(FOLDER), "--port", "0", "service:app")
        while (found := re.search(rb"running on (\S+)", await process.stderr.readline())) is None:
            assert process.returncode is None
        session = aiohttp.ClientSession(found[1].decode())
        await self._stack.enter_async_context(session)
        return process, session

    async def worker(self) -> Program:
        return await self.start(str(FOLDER / "worker.py"))


@pytest.fixture
async def hosts(server: Server, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Hosts]:
    async with AsyncExitStack() as stack:
        yield Hosts(tmp_path, server.url, stack)


async def ended(session: aiohttp.ClientSession) -> dict[str, Any]:
    while True:
        async with session.get("/runs") as response:
            state: dict[str, Any] = await response.json()
        if state["phase"] in ("ended", "failed"):
            return state
        await asyncio.sleep(0.05)


@pytest.fixture
def crm(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "crm.sqlite") as database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, first_name TEXT)")
        rows = [(number, f"lead{number}@example.com", "Åsa") for number in range(1, 101)]
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
    database.close()
    return len(rows)


async def test_runs_from_the_crm_and_from_an_upload(hosts: Hosts, sandbox: Sandbox, crm: int) -> None:
    workers = [await hosts.worker(), await hosts.worker()]
    _, session = await hosts.service()
    async with session.post("/runs/crm") as response:
        assert response.status == 202
    state = await ended(session)
    assert state["stopped"] is None
    assert state["rows"]["accepted"] == crm
    sandbox.process_now()
    assert sandbox.lead("lead7@example.com")["crmLeadId"] == "7"

    async with session.put(
        "/runs", data="email\nlead7@example.com\nnew@example.com\nno address\n"
    ) as response:
        assert response.status == 202
    state = await ended(session)
    assert (state["rows"]["accepted"], state["rows"]["rejected"]) == (2, 1)
    async with session.post("/runs/nothing") as response:
        assert response.status == 404
    for worker in workers:
        assert await hosts.end(worker, signal.SIGTERM) == ""
        assert worker.returncode == 0


async def test_a_service_that_was_killed_joins_its_run(hosts: Hosts, sandbox: Sandbox, crm: int) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.2, times=None))
    await hosts.worker()
    service, session = await hosts.service()
    async with session.post("/runs/crm") as response:
        assert response.status == 202
    while sandbox.journal.count(method="delayedSync") < 10:
        await asyncio.sleep(0.01)
    async with session.post("/runs/crm") as response:
        assert response.status == 409
    # After SIGTERM the worker continues the run; after SIGKILL it would too, once the lease has expired.
    await hosts.end(service, signal.SIGTERM)
    _, session = await hosts.service()
    async with session.post("/runs/crm") as response:
        assert response.status == 202
    state = await ended(session)
    assert (state["stopped"], state["rows"]["pending"]) == (None, 0)
    assert sandbox.journal.count(method="delayedSync") == crm
