"""Redis is away for a while in the middle of a run, with the default error budget: no row is left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from publitrac_async import LimiterUnavailable, PublitracClient
from publitrac_async.bulk import (
    DocketExecutor,
    ErrorBudget,
    LocalExecutor,
    PublitracV2Sink,
    RedisStateStore,
    Shutdown,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.distributed.docket import serve
from publitrac_async.bulk.sinks.base import Sink
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT
from publitrac_async.sandbox import Sandbox
from publitrac_async.shared import SharedRedis
from tests.support.redis_server import Server
from tests.support.sinks import RecordingSink

ROWS = 400
RATE = 150


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps what it knows when it is restarted."""
    server = Server(tmp_path_factory.mktemp("restarts"), appendonly="yes")
    server.start()
    yield server
    server.stop()


async def away(server: Server, sandbox: Sandbox, seconds: float) -> None:
    """Stop the server when part of the rows has arrived, and start it later."""
    before = sandbox.journal.count(method="delayedSync")
    while sandbox.journal.count(method="delayedSync") < before + ROWS // 8:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("executor", ["local", "docket"])
async def test_no_row_is_left(keeping: Server, tmp_path: Path, executor: str) -> None:
    keeping.start()
    await keeping.ask("FLUSHALL")
    path = tmp_path / "leads.csv"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(ROWS)))
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(rate_limit=1000))
        account = sandbox.api_key
        shared = await stack.enter_async_context(SharedRedis(keeping.url, account, rate_limit=RATE))
        publitrac = await stack.enter_async_context(
            PublitracClient(
                api_key=account,
                base_url=sandbox.base_url,
                shared=shared,
                retry=BULK_RETRY,
                timeout=BULK_TIMEOUT,
            )
        )
        sink, shutdown = PublitracV2Sink(publitrac.v2), Shutdown()
        serving = None
        if executor == "docket":
            serving = asyncio.create_task(
                serve(sink, RedisStateStore(shared, durable=False), shutdown=shutdown, redelivery=2.0)
            )
        restarts = asyncio.create_task(away(keeping, sandbox, 1.5))
        report = await sync_leads(
            read_leads(path),
            sink,
            state=RedisStateStore(shared, durable=False),
            executor=DocketExecutor(chunk_rows=50) if serving else LocalExecutor(16),
        )
        await restarts
        shutdown.request()
        if serving:
            await serving
        assert (report.accepted, report.pending, report.stopped) == (ROWS, 0, None)
        assert len({arrival.key for arrival in sandbox.journal.arrivals if arrival.key}) == ROWS


class KeptBack(RecordingSink):
    """A sink whose limiter cannot be asked after some calls."""

    async def send(self, contents: list[object]) -> object:
        if len(self.calls) >= 5:
            raise LimiterUnavailable("the shared rate limiter in Redis is unreachable (ConnectionError)")
        return await super().send(contents)


async def test_a_limiter_that_stays_away_ends_a_run_by_its_name_and_spends_no_error_budget(
    tmp_path: Path,
) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(50)))
    sink: Sink[object] = KeptBack()
    report = await sync_leads(read_leads(path), sink, error_budget=ErrorBudget(failures=0, in_a_row=1))
    assert report.pending > 0
    assert report.stopped is not None
    assert report.stopped.startswith("LimiterUnavailable: the shared rate limiter in Redis is unreachable")
