"""Starting and stopping leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import get_type_hints

import attrs
import httpx
import pytest

from publitrac_async.sandbox import Fault, Sandbox, SandboxSettings, serve_forever
from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.settings import SandboxOptions


def open_sockets() -> int:
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        # The descriptor of the listing itself is closed by now.
        with contextlib.suppress(FileNotFoundError):
            links.append(str(descriptor.readlink()))
    return sum(link.startswith("socket:") for link in links)


async def test_nothing_is_left_behind(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    tasks, sockets, threads = len(asyncio.all_tasks()), open_sockets(), {*threading.enumerate()}

    async with Sandbox(rate_limit=None) as sandbox:
        sandbox.inject(Fault("delay", seconds=60, match="syncLead", times=None))
        http = httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False)
        credentials = {"apikey": sandbox.api_key, "username": sandbox.username, "password": sandbox.password}
        await http.get("/api", params={"method": "getLead", **credentials})
        waiting = [
            asyncio.create_task(http.get("/api", params={"method": "syncLead", **credentials}))
            for _ in range(3)
        ]
        while len(sandbox.journal.arrivals) < 4:
            await asyncio.sleep(0.001)
        before = time.monotonic()
    assert time.monotonic() - before < 1

    responses = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(response, httpx.TransportError) for response in responses)
    await http.aclose()
    await asyncio.sleep(0)
    gc.collect()
    assert (len(asyncio.all_tasks()), open_sockets()) == (tasks, sockets)
    # A thread of an earlier test may have ended meanwhile.
    assert {*threading.enumerate()} - threads == set()
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert [record.getMessage() for record in ours if record.name != "asyncio"] == []
    assert capfd.readouterr() == ("", "")


async def test_many_sandboxes_one_after_the_other():
    sockets = open_sockets()
    for _ in range(20):
        async with Sandbox() as sandbox, httpx.AsyncClient(trust_env=False, verify=False) as http:
            assert (await http.get(f"{sandbox.base_url}/_sandbox/clock")).status_code == 200
    assert open_sockets() == sockets


SCRIPT = """
import asyncio, httpx
from publitrac_async.sandbox import Fault, Sandbox

async def main():
    async with (
        Sandbox() as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http,
    ):
        sandbox.inject(Fault("drop"))
        sandbox.inject(Fault("cut", cut_after=1))
        sandbox.inject(Fault("delay", seconds=60, after=2))
        for _ in range(2):
            try:
                await http.get("/api")
            except httpx.TransportError:
                pass
        hanging = asyncio.create_task(http.get("/api"))
        await asyncio.sleep(0.05)
    try:
        await hanging
    except httpx.TransportError:
        print("done")

asyncio.run(main())
"""


def test_no_warning_in_development_mode(tmp_path):
    # Exclude asyncio's own message on slow callbacks, which a loaded machine causes.
    script = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n" + SCRIPT
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "done", "")


def test_the_missing_server_is_named():
    script = "import sys; sys.modules['uvicorn'] = None; import publitrac_async.sandbox"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 1
    assert run.stderr.strip().endswith("pip install 'publitrac_async[sandbox]'")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])
def test_only_loopback_addresses_are_served_by_default(host):
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host=host)


async def test_the_sandbox_serves_on_ipv6_loopback():
    try:
        async with Sandbox(host="::1") as sandbox:
            assert sandbox.base_url.startswith("http://[::1]:")
    except OSError:
        pytest.skip("no IPv6 here")


async def test_a_port_in_use(sandbox):
    port = int(sandbox.base_url.rpartition(":")[2])

    with pytest.raises(OSError):
        async with Sandbox(port=port):
            pass


def test_no_address_without_a_server():
    with Sandbox() as sandbox, pytest.raises(RuntimeError, match="async with"):
        _ = sandbox.base_url


async def test_a_file_keeps_the_leads(tmp_path):
    database = tmp_path / "sandbox.sqlite"
    async with Sandbox(database=str(database), processing_delay=0) as sandbox:
        sandbox.seed(leads=[{"email": "a@example.com", "carColor": "Red"}])
        sandbox.publitrac.queue.accept({"leadInfo": {"email": "b@example.com"}})

    async with Sandbox(database=str(database), processing_delay=0) as sandbox:
        assert sandbox.lead("a@example.com")["carColor"] == "Red"
        assert sandbox.lead("b@example.com") is not None
        sandbox.reset()

    with Sandbox(database=str(database)) as sandbox:
        assert sandbox.leads() == []


def test_other_databases_are_refused(tmp_path):
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE something (id)")
    connection.close()
    text = tmp_path / "text.sqlite"
    text.write_text("no database, but long enough to be read as one" * 100)

    with pytest.raises(ValueError, match="not made by"):
        Sandbox(database=str(other))
    with pytest.raises(ValueError, match="not an SQLite"):
        Sandbox(database=str(text))
    assert text.read_text().startswith("no database")


async def test_serve_forever_runs_until_it_is_cancelled():
    started: asyncio.Queue[Sandbox] = asyncio.Queue()
    task = asyncio.create_task(serve_forever(started=started.put_nowait, rate_limit=None))
    sandbox = await started.get()
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        assert (await http.get(f"{sandbox.base_url}/_sandbox/clock")).status_code == 200

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RuntimeError):
        _ = sandbox.base_url


def test_options_are_the_settings():
    fields = {field.name for field in attrs.fields(SandboxSettings)}

    assert set(get_type_hints(SandboxOptions)) == fields


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit": 0},
        {"over_limit": "x"},
        {"token_ttl": 0},
        {"expired_token_response": "500"},
        {"processing_delay": -1},
        {"page_size": 0},
        {"port": -1},
    ],
)
def test_unusable_settings_of_a_sandbox_are_refused(options):
    with pytest.raises(ValueError):
        Sandbox(**options)


def test_custom_fields_are_a_collection():
    with pytest.raises(TypeError):
        Sandbox(custom_fields="carColor")
    with pytest.raises(TypeError):
        Sandbox(nonsense=1)


async def test_lifespan_of_other_servers():
    received = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return received.pop(0)

    async def send(message):
        sent.append(message["type"])

    with Sandbox() as sandbox:
        await sandbox.app({"type": "lifespan"}, receive, send)
        with pytest.raises(ValueError, match="websocket"):
            await sandbox.app({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_bug_is_a_response_and_a_log_record(sandbox, v1, monkeypatch, caplog):
    monkeypatch.setattr(sandbox.publitrac.leads, "by_email", lambda _email: 1 / 0)

    response = await v1.send("getLead", email="a@example.com")

    assert response.status_code == 500
    (record,) = [record for record in caplog.records if record.name.startswith("publitrac_async")]
    assert record.exc_info is not None
    assert record.getMessage() == "The sandbox failed to respond to v1 getLead."


def test_the_clock_moves_forward_only():
    clock = SandboxClock(monotonic=lambda: 10.0, wall=lambda: 1_390_874_641.0)

    assert clock.text() == "2014-01-28 02:04:01"
    clock.advance(59)
    assert (clock.monotonic(), clock.text()) == (69.0, "2014-01-28 02:05:00")
    assert clock.text(seconds_ago=60) == "2014-01-28 02:04:00"
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError):
            clock.advance(seconds)
    clock.reset()
    assert clock.offset == 0
