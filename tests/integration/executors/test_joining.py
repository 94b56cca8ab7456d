"""The process that began a run may be killed: its workers go on, and the same command joins them."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async import PublitracClient
from publitrac_async.bulk import (
    PublitracV2Sink,
    Report,
    StateStoreError,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.distributed.docket import DocketExecutor
from tests.support.executor_processes import ACCOUNT, Service, Workers
from tests.support.executor_setups import until
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

LEADS = 300
LEASE = 1.0
CHUNK_ROWS = 50


def table(folder: Path) -> Path:
    path = folder / "leads.csv"
    lines = [f"lead{number}@example.com,Lund" for number in [*range(LEADS), *range(0, LEADS, 7)]]
    path.write_text("\n".join(["email,city", *lines]))
    return path


async def again(attempt: Callable[[], Awaitable[Report]]) -> tuple[Report, int]:
    """Run the same command until the state store is free.

    Returns:
        The report, and how often the state store was in use.
    """
    refused = 0
    while True:
        try:
            return await attempt(), refused
        except StateStoreError as error:
            if "another process is using the state store" not in error.message:
                raise
            refused += 1
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("joins", ["while workers send", "when all is sent"])
async def test_the_same_command_joins_a_run_whose_process_was_killed(
    server: Server, tmp_path: Path, joins: str
) -> None:
    path = table(tmp_path)
    with Service() as service:
        settings: dict[str, Any] = {
            **service.place,
            "url": server.url,
            "calls": 4,
            "chunks": 2,
            "lease": LEASE,
            "log": str(tmp_path / "log"),
        }

        async with PublitracClient(**service.place) as publitrac:

            async def attempt() -> Report:
                store = OwnRedisState(server.url, account=ACCOUNT, lease=LEASE)
                executor = DocketExecutor(chunk_rows=CHUNK_ROWS)
                return await sync_leads(
                    read_leads(path), PublitracV2Sink(publitrac.v2), state=store, executor=executor
                )

            slow = {"kind": "delay", "seconds": 0.05, "match": "v2.delayedSync", "times": None}
            httpx.post(f"{service.place['base_url']}/_sandbox/faults", json=slow, trust_env=False)
            with Workers(settings) as workers:
                workers.start()
                submitter = workers.start(source=str(path), chunk_rows=CHUNK_ROWS)
                await until(lambda: len(service.arrivals()) > LEADS // 6)
                # While it goes on, nobody else may.
                with pytest.raises(StateStoreError, match="another process is using the state store"):
                    await attempt()
                workers.kill(submitter)
                killed_at = len(service.arrivals())
                assert killed_at < LEADS // 2
                if joins == "when all is sent":
                    await until(lambda: len(service.arrivals()) == LEADS)
                report, refused = await again(attempt)
                if joins == "while workers send":
                    # For as long as the lease of the killed process lives.
                    assert refused
        counted = Counter(each["key"] for each in service.arrivals())
    assert len(counted) == LEADS
    assert set(counted.values()) == {1}
    assert report.stopped is None
    assert (report.accepted + report.skipped, report.pending) == (report.rows, 0)
    if joins == "while workers send":
        assert report.accepted
