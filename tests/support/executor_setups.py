"""The same run on every engine: what a test needs around it."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import Lead, PublitracClient
from publitrac_async.bulk import (
    ErrorBudget,
    LocalExecutor,
    PublitracV1Sink,
    PublitracV2Sink,
    Report,
    Shutdown,
    sync_leads,
)
from publitrac_async.bulk.distributed.docket import DocketExecutor, serve
from publitrac_async.bulk.sources import FileSource, read_leads
from publitrac_async.sandbox import Sandbox
from tests.support.clients import client
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.sinks import RecordingSink

ACCOUNT = "the-key"
#: Few, so that small tests have many chunks.
CHUNK_ROWS = 10
#: Calls in flight at once, of one chunk or of a local run.
CALLS = 3
CHUNKS = 2
WORKERS = 2
GENEROUS = ErrorBudget(share=1, in_a_row=10_000)


class Setup:
    """An engine with its state store, a service, and everybody who works for it.

    Args:
        kind: ``"file"`` and ``"redis"`` are state stores of the local engine.
        folder: for files.
        sandbox: the service.
        server: Redis.
    """

    def __init__(self, kind: str, folder: Path, sandbox: Sandbox, server: Server) -> None:
        self.kind = kind
        self.folder = folder
        self.sandbox = sandbox
        self.server = server
        self.results = folder / "results" / "latest"

    @property
    def in_flight(self) -> int:
        """Calls in flight at most."""
        return WORKERS * CHUNKS * CALLS if self.kind == "docket" else CALLS

    def store(self, **options: Any) -> Any:
        """The state store, as another process would open it."""
        if self.kind == "file":
            return self.folder / "run.sqlite"
        return OwnRedisState(self.server.url, account=ACCOUNT, **{"lease": 2} | options)

    def executor(self, **options: Any) -> Any:
        if self.kind == "docket":
            return DocketExecutor(**{"chunk_rows": CHUNK_ROWS} | options)
        return LocalExecutor(CALLS)

    def client(self, **options: Any) -> PublitracClient:
        return client(
            self.sandbox.base_url,
            **{
                "api_key": self.sandbox.api_key,
                "username": self.sandbox.username,
                "password": self.sandbox.password,
            }
            | options,
        )

    async def sync(self, source: Any, sink: Any = None, **options: Any) -> Report:
        """A run, in which every row ends in exactly one state."""
        settings = {"results_dir": self.results.parent, "error_budget": GENEROUS} | options
        sources = settings.pop("sources", None)
        async with contextlib.AsyncExitStack() as stack:
            if sink is None:
                sink = PublitracV2Sink((await stack.enter_async_context(self.client())).v2)
            if self.kind == "docket":
                for _ in range(WORKERS):
                    await stack.enter_async_context(self.worker(sink, sources=sources))
            report = await sync_leads(source, sink, state=self.store(), executor=self.executor(), **settings)
        assert sum(report.counts.values()) == report.rows
        return report

    @contextlib.asynccontextmanager
    async def worker(self, sink: Any, **options: Any) -> AsyncIterator[Shutdown]:
        """A process in `serve`, but for the process."""
        shutdown = Shutdown()
        settings = {"concurrency": CALLS, "chunks": CHUNKS, "redelivery": 1.0, "shutdown": shutdown} | options
        store = self.store()
        serving = asyncio.create_task(serve(sink, store, **settings))
        try:
            yield shutdown
        finally:
            settings["shutdown"].request()
            await serving
            await store.aclose()

    def table(self, rows: Iterable[Mapping[str, Any]], name: str = "leads.csv") -> FileSource:
        """A file with rows."""
        path = self.folder / name
        rows = list(rows)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        return read_leads(path)

    def v1(self, publitrac: PublitracClient) -> PublitracV1Sink:
        return PublitracV1Sink(publitrac.v1)

    def arrivals(self, method: str = "delayedSync") -> list[str]:
        """The e-mail addresses of the calls that arrived, in order."""
        return [each.key or "" for each in self.sandbox.journal.arrivals if each.method == method]


class Submission:
    """A run that goes on beside the test."""

    def __init__(self, hosts: Setup, source: Any, sink: Any, **options: Any) -> None:
        self.store = hosts.store()
        settings = {
            "executor": hosts.executor(),
            "error_budget": GENEROUS,
            "results_dir": hosts.results.parent,
        } | options
        self.task = asyncio.create_task(sync_leads(source, sink, state=self.store, **settings))
        self._hosts = hosts

    async def given(self, orders: int) -> None:
        """Wait until the orders for so many chunks lie in the queue."""
        async with asyncio.timeout(20):
            while not self.store.job or await self.waiting() < orders:
                await asyncio.sleep(0.01)

    async def waiting(self) -> int:
        return int(await self._hosts.server.ask("XLEN", f"{self.store.queue}:stream"))

    async def report(self) -> Report:
        async with asyncio.timeout(30):
            return await self.task


class Gate(RecordingSink):
    """Lets calls begin, and none end until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.open = asyncio.Event()

    async def send(self, records: Any) -> Any:
        self.begun += 1
        await self.open.wait()
        return await super().send(records)


def write_workbook(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A workbook with rows, all of which have the columns of the first."""
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="needs the extra xlsx")
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        for number, cells in enumerate([[*rows[0]], *([*row.values()] for row in rows)]):
            sheet.write_row(number, 0, cells)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def sent(publitrac: PublitracClient, row: dict[str, Any]) -> str:
    return hashlib.sha256(publitrac.v2.prepare(Lead(**row)).body).hexdigest()
