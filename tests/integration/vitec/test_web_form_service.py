"""The example `web_form_service.py`: in its own process, which is killed between and within the steps."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.support.commands import start_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")

EXAMPLES = Path(__file__).parents[3] / "examples"
FORM = {"email": "anna@example.com", "first_name": "Anna", "last_name": "Åström", "message": "Hej!"}


class Service:
    """The example under uvicorn."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    async def __aenter__(self) -> Self:
        self.process = await start_program(
            *("-m", "uvicorn", "web_form_service:app", "--port", "0"),
            *("--app-dir", EXAMPLES, "--no-access-log"),
            cwd=EXAMPLES.parent,
            variables={**os.environ, **self._environment},
        )
        said = b""
        while not (address := re.search(rb"http://127\.0\.0\.1:\d+", said)):
            line = await self.process.stderr.readline()
            assert line, said.decode()
            said += line
        self.http = httpx.AsyncClient(base_url=address[0].decode(), trust_env=False, verify=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        if self.process.returncode is None:
            await self.end(signal.SIGTERM)

    async def end(self, number: signal.Signals) -> bytes:
        """Send a signal and return what it printed."""
        self.process.send_signal(number)
        _, said = await self.process.communicate()
        return said

    async def submit(self, **changes: str) -> httpx.Response:
        return await self.http.post("/form", data=FORM | changes)

    async def unknown(self) -> list[dict[str, Any]]:
        return (await self.http.get("/unknown")).json()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(processing_delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def service(sandbox: Sandbox, outbox: Path) -> Callable[[], Service]:
    environment = {
        "PUBLITRAC_BASE_URL": sandbox.base_url,
        "PUBLITRAC_API_KEY": sandbox.api_key,
        "VITEC_BASE_URL": sandbox.base_url,
        "VITEC_USERNAME": "marketplace",
        "VITEC_PASSWORD": "password-of-M30011",
        "VITEC_CUSTOMER": "M30011",
        "OUTBOX": str(outbox),
    }
    return lambda: Service(environment)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def states(outbox: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(outbox)
    try:
        return database.execute("SELECT state, note FROM outbox ORDER BY number").fetchall()
    finally:
        database.close()


def counts(sandbox: Sandbox) -> tuple[int, int]:
    """Calls that reached PUBLITRAC's delayedSync, and Vitec."""
    return sandbox.journal.count(method="delayedSync"), sandbox.journal.count(api="vitec")


async def test_a_form_reaches_both_and_is_then_forgotten(service, sandbox, outbox) -> None:
    async with service() as running:
        response = await running.submit(phone="070-0000000")
        assert (response.status_code, response.json()) == (202, {"number": 1})
        await until(lambda: states(outbox) == [("delivered", "L1")])
        assert await running.unknown() == []
    sandbox.process_now()
    assert sandbox.lead("anna@example.com")["lastName"] == "Åström"
    contents = sandbox.contents("vitec")
    assert contents["contacts"][0]["telephone"] == {"cell": "070-0000000"}
    assert (contents["leads"][0]["message"], counts(sandbox)) == ("Hej!", (1, 1))
    assert b"anna@example.com" not in b"".join(file.read_bytes() for file in outbox.parent.iterdir())


async def test_forms_that_cannot_be_leads(service, outbox) -> None:
    async with service() as running:
        response = await running.submit(last_name=" ", email="")
        assert (response.status_code, response.json()) == (422, {"detail": "missing: email, last_name"})
        assert (await running.submit(email="no address")).status_code == 202
        await until(lambda: states(outbox)[0][0] == "refused")
        (refused,) = await running.unknown()
        assert (refused["state"], refused["form"]["email"]) == ("refused", "no address")
        assert "no address" not in refused["note"]


async def test_killed_during_the_call_to_publitrac(service, sandbox, outbox) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=60))
    async with service() as running:
        await running.submit()
        await until(lambda: counts(sandbox)[0])
        await running.end(signal.SIGKILL)
    assert states(outbox) == [("received", "")]

    async with service():
        await until(lambda: states(outbox) == [("delivered", "L1")])
    assert counts(sandbox) == (2, 1)
    sandbox.process_now()
    assert len(sandbox.leads()) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_ended_between_the_steps(service, sandbox, outbox, end) -> None:
    sandbox.inject(Fault("status", match="vitec", status=429, retry_after=3600))
    async with service() as running:
        await running.submit()
        await until(lambda: counts(sandbox)[1] and states(outbox)[0][0] == "synced")
        await running.end(end)

    async with service():
        await until(lambda: states(outbox) == [("delivered", "L1")])
    assert counts(sandbox) == (1, 2)
    assert len(sandbox.contents("vitec")["leads"]) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("arrived", [True, False])
async def test_ended_during_the_call_to_vitec(service, sandbox, outbox, end, arrived) -> None:
    sandbox.inject(Fault("delay", match="vitec", seconds=60))
    async with service() as running:
        await running.submit()
        await until(lambda: counts(sandbox) == (1, 1))
        said = await running.end(end)
        assert b"anna" not in said.lower()
    assert states(outbox) == [("sending", "")]

    async with service() as running:
        (found,) = await running.unknown()
        assert (found["number"], found["state"], found["form"]) == (1, "unknown", FORM)
        await running.submit(email="bo@example.com")
        await until(lambda: states(outbox)[1][0] == "delivered")
        assert counts(sandbox) == (2, 2)  # The first one waited to be reconciled.

        reconcile = f"/unknown/1?arrived={arrived}"
        assert (await running.http.post(reconcile)).status_code == 200
        await until(lambda: states(outbox)[0][0] == "delivered")
        assert (await running.http.post(reconcile)).status_code == 404
        assert (await running.http.post("/unknown/2?arrived=false")).status_code == 404
    assert counts(sandbox) == (2, 2 if arrived else 3)


async def test_a_lost_response_waits_for_a_decision(service, sandbox, outbox) -> None:
    sandbox.inject(Fault("drop", match="vitec", apply=True))
    async with service() as running:
        await running.submit()
        await until(lambda: states(outbox)[0][0] == "unknown")
        (found,) = await running.unknown()
    assert "may have been applied" in found["note"]
    assert counts(sandbox) == (1, 1)
    assert len(sandbox.contents("vitec")["leads"]) == 1
