"""The health of a worker, and the port of its probes under requests of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async import CallEnded
from publitrac_async.bulk import Shutdown
from publitrac_async.cli import health
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.health import WorkerHealth, health_port
from publitrac_async.transport.events import ChunkEnded, ChunkStarted

CALL: dict[str, Any] = {
    "call_id": "1",
    "operation": "delayedSync",
    "vendor": "publitrac",
    "host": "h",
    "port": 443,
    "method": "POST",
    "path": "/v2/lead/delayedSync",
    "attempts": 1,
    "elapsed": 0.1,
    "queue_wait": 0.0,
}
CHUNK: dict[str, Any] = {"run_id": "r", "sink": "v2", "job": "a1", "chunk": 3}


class Worker:
    """The health of a worker, with a simulated Redis and clock."""

    def __init__(self) -> None:
        self.redis: str | None = None
        self.now = 0.0
        self.shutdown = Shutdown()
        self.health = WorkerHealth(self.ask, self.shutdown, clock=lambda: self.now)
        self.port = 0

    async def ask(self) -> str | None:
        if self.redis == "hangs":
            await asyncio.sleep(3600)
        return self.redis

    async def send(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        head, _, body = (await self.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())).partition(
            b"\r\n\r\n"
        )
        return int(head.split()[1]), json.loads(body)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    async with health_port(worker.health, "127.0.0.1", 0) as worker.port:
        yield worker


async def test_a_worker_is_ready_from_its_start_to_its_end(worker: Worker) -> None:
    assert (await worker.get("/ready"))[1]["state"] == "starting"
    worker.health.started = True
    status, facts = await worker.get("/ready?verbose")
    assert status == 200
    assert facts == {
        "ready": True,
        "state": "working",
        "redis": "responds",
        "credentials": "not used yet",
        "claimed_chunks": 0,
        "last_chunk": None,
    }
    worker.shutdown.request()
    status, facts = await worker.get("/ready")
    assert (status, facts["state"]) == (503, "ending")
    assert (await worker.get("/live"))[0] == 200


@pytest.mark.parametrize("reason", ["ConnectionError", "hangs"])
async def test_without_redis_it_is_live_but_not_ready(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(health, "_REDIS_TIMEOUT", 0.01)
    worker.health.started = True
    worker.redis = reason
    status, facts = await worker.get("/ready")
    assert status == 503
    assert facts["redis"].startswith("does not respond (")
    assert (await worker.get("/live"))[0] == 200


async def test_rejected_credentials_are_reported_until_a_call_succeeds(worker: Worker) -> None:
    worker.health.started = True
    for error, status, told in [
        ("AuthenticationError", 503, "rejected"),
        ("ServerError", 503, "rejected"),
        (None, 200, "accepted"),
        ("ServerError", 200, "accepted"),
    ]:
        outcome = "success" if error is None else "failed"
        worker.health(CallEnded(**CALL, outcome=outcome, error=error))
        got, facts = await worker.get("/ready")
        assert (got, facts["credentials"]) == (status, told)


async def test_the_last_chunk_is_reported(worker: Worker) -> None:
    worker.health(ChunkStarted(**CHUNK))
    worker.now = 10.0
    worker.health(ChunkEnded(**CHUNK, outcomes={"accepted": 199, "rejected": 1}, elapsed=10.0))
    worker.now = 14.0
    _, facts = await worker.get("/ready")
    assert facts["last_chunk"] == {
        "run": "a1",
        "chunk": 3,
        "rows": {"accepted": 199, "rejected": 1},
        "stopped": False,
        "error": None,
        "ended_ago": 4.0,
    }


async def test_silence_is_fatal_only_with_a_chunk_in_hand(worker: Worker) -> None:
    worker.now = 2 * health.STUCK
    assert (await worker.get("/live"))[0] == 200
    worker.health(ChunkStarted(**CHUNK))
    worker.now += health.STUCK - 1
    assert (await worker.get("/live"))[0] == 200
    worker.now += 1
    assert (await worker.get("/live"))[0] == 503
    worker.health(CallEnded(**CALL, outcome="success"))
    assert (await worker.get("/live"))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /ready/../live HTTP/1.1\r\n\r\n", 404),
        (b"POST /ready HTTP/1.1\r\nContent-Length: 3\r\n\r\n", 405),
        (b"GET /ready\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /ready HTTP/1.1\r\nA: " + b"a" * 100_000, 400),
    ],
)
async def test_malformed_requests_are_refused(worker: Worker, request_: bytes, status: int) -> None:
    try:
        response = await worker.send(request_)
    except ConnectionResetError:  # Bytes after a refusal are not read.
        assert status == 400
    else:
        assert response.startswith(f"HTTP/1.1 {status} ".encode())
    assert (await worker.get("/live"))[0] == 200


async def test_head_has_no_body(worker: Worker) -> None:
    response = await worker.send(b"HEAD /live HTTP/1.0\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(b"\r\n\r\n")


async def test_slow_and_many_connections_hold_nothing_up(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_REQUEST_TIMEOUT", 0.1)
    slow = [await asyncio.open_connection("127.0.0.1", worker.port) for _ in range(40)]
    for _, writer in slow:
        writer.write(b"GET /live HTT")
    for reader, writer in slow:
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
    assert (await worker.get("/live"))[0] == 200


async def test_a_port_in_use_is_named(worker: Worker) -> None:
    with pytest.raises(CommandError, match=f"--health-port: port {worker.port} of 127.0.0.1 cannot be used"):
        async with health_port(worker.health, "127.0.0.1", worker.port):
            pass


async def test_the_end_does_not_wait_for_open_connections() -> None:
    worker = Worker()
    async with health_port(worker.health, "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /live")
        await asyncio.sleep(0)
        while not asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0.001)
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
