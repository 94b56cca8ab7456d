"""Runs bulk syncs in forks of this small process, and kills them. Started by `test_kills`.

One JSON object per line on standard input describes a run; one on standard output describes its end. Forking
a process that has everything loaded takes some milliseconds, starting one takes half a second. Clients and
event loops are made in the forks only: nothing here has a thread or an open connection that a fork would
inherit.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from publitrac_async import PublitracClient, PublitracError
from publitrac_async.bulk import (
    MarketoSink,
    PublitracV2Sink,
    Record,
    Report,
    Sink,
    VitecSink,
    marketo_record,
    publitrac_record,
    sync_leads,
    vitec_record,
)
from publitrac_async.bulk.report import files
from publitrac_async.bulk.sinks.base import CallJournal
from publitrac_async.bulk.state.database import Database
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.pool import Exchange
from publitrac_async.v2.codec import lead_body
from publitrac_async.vitec import LeadSource, VitecClient
from tests.support.commands import TRANSPORT

WORKERS = 8
LEAD_SOURCE = LeadSource(name="Web")
ACTION: Final = "createDuplicate"


def v2_record(fields: Mapping[str, Any]) -> Record[bytes]:
    """Make the record of `PublitracV2Sink`, without a client."""
    record = publitrac_record(fields)
    return evolve(record, content=lead_body(record.content))


PREPARE: Mapping[str, Callable[[Mapping[str, Any]], Record[Any]]] = {
    "v2": v2_record,
    "vitec": functools.partial(vitec_record, lead_source=LEAD_SOURCE),
    "marketo": functools.partial(marketo_record, action=ACTION),
}
#: The purpose of a transaction, by its statements; it can have several.
KINDS = {
    "stage": "INSERT INTO rows",
    "plan": "INSERT INTO main.leads",
    "intent": "UPDATE main.leads SET state = 'sending'",
    "outcome": "UPDATE main.leads SET state = ?",
}


@functools.cache
def source(count: int) -> list[dict[str, str]]:
    """Some leads occur twice; the later row counts."""
    names = {"firstName": "Ada", "lastName": "Ek"}
    rows = [{"email": f"lead{number}@example.com", "city": "first"} | names for number in range(count)]
    rows += [row | {"city": "last"} for row in rows[::97]]
    return rows


@functools.cache
def records(service: str, count: int) -> dict[tuple[str, str], Record[Any]]:
    """The records that the sink makes of the rows, as e-mail address and city."""
    return {(row["email"], row["city"]): PREPARE[service](row) for row in source(count)}


class Bomb:
    """Kills this process when a named point is reached for the n-th time."""

    def __init__(self, point: str | None, times: int) -> None:
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """A sink that passes the bomb around each call, and reports how many have begun.

    Its records are made in advance: making 20,000 of them in each of 300 runs would take most of the time.
    """

    def __init__(self, sink: Sink[Any], run: Mapping[str, Any], bomb: Bomb, tell: Callable[[], Any]) -> None:
        self.batch_size = run["batch"]
        self._sink = sink
        self._records = records(run["service"], run["count"])
        self._bomb = bomb
        self._calls = run.get("calls", 0)
        self._tell = tell
        if hasattr(sink, "send_in_parts"):
            self.send_in_parts = self._send_in_parts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def to_record(self, fields: Mapping[str, Any]) -> Record[Any]:
        return self._records[fields["email"], fields["city"]]

    async def send(self, batch: Sequence[Any]) -> Sequence[PublitracError | None]:
        self.before()
        responses = await self._sink.send(batch)
        self.after()
        return responses

    async def _send_in_parts(
        self, batch: Sequence[Any], journal: CallJournal
    ) -> Sequence[PublitracError | None]:
        sink: Any = self._sink
        responses: Sequence[PublitracError | None] = await sink.send_in_parts(batch, Journal(journal, self))
        return responses

    def before(self) -> None:
        self._calls -= 1
        if self._calls == 0:
            self._tell()
        self._bomb("call: before")

    def after(self) -> None:
        self._bomb("call: responded")


class Journal:
    """The journal of a batch of several calls, which watches the sink around each."""

    def __init__(self, journal: CallJournal, watched: Watched) -> None:
        self._journal = journal
        self._watched = watched

    async def begin(self, indexes: Sequence[int]) -> None:
        await self._journal.begin(indexes)
        self._watched.before()

    def end(self, indexes: Sequence[int], errors: Sequence[PublitracError | None]) -> None:
        self._watched.after()
        self._journal.end(indexes, errors)

    def flush(self) -> None:
        self._journal.flush()


class Connection:
    """An SQLite connection that passes the bomb at every commit."""

    def __init__(self, connection: Any, bomb: Bomb) -> None:
        self._connection = connection
        self._bomb = bomb
        self._kinds: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *parameters)
        for kind in self._kinds:
            self._bomb(f"{kind}: before commit")
        result = self._connection.execute(sql)
        for kind in self._kinds:
            self._bomb(f"{kind}: after commit")
        self._kinds.clear()
        return result

    def executemany(self, sql: str, parameters: Any) -> Any:
        self._kinds.update(kind for kind, start in KINDS.items() if sql.startswith(start))
        return self._connection.executemany(sql, parameters)

    def close(self) -> None:
        self._bomb("close")
        self._connection.close()


def plant(bomb: Bomb) -> None:
    open_file, record, write = Database._open, files._record, Exchange.write

    def opened(self: Database, layout: str) -> None:
        open_file(self, layout)
        bomb("open")
        self._connection = Connection(self._connection, bomb)  # type: ignore[assignment]

    def recorded(account: Any) -> Any:
        bomb("results")
        return record(account)

    def written(self: Exchange, data: bytes) -> None:
        write(self, data)
        if data.startswith(b"POST "):  # Log-ins are GETs.
            bomb("call: sent")

    Database._open = opened  # type: ignore[method-assign]
    files._record = recorded
    Exchange.write = written  # type: ignore[method-assign]


@asynccontextmanager
async def sink(service: str, **options: Any) -> AsyncIterator[Sink[Any]]:
    """The sink of a service, with its own client."""
    options |= {"rate_limit": None, "concurrency": WORKERS}
    if service == "v2":
        async with PublitracClient(**options) as publitrac:
            yield PublitracV2Sink(publitrac.v2)
    elif service == "vitec":
        async with VitecClient(**options) as vitec:
            yield VitecSink(vitec, "M30011", lead_source=LEAD_SOURCE)
    else:
        async with MarketoClient(**options) as marketo:
            yield MarketoSink(marketo, action=ACTION)


async def sync(run: Mapping[str, Any], bomb: Bomb, tell: Callable[[], Any]) -> Report:
    async with sink(run["service"], **run["client"]) as target:
        watched: Any = Watched(target, run, bomb, tell)
        return await sync_leads(source(run["count"]), watched, state=Path(run["state"]), concurrency=WORKERS)


def fork(run: Mapping[str, Any]) -> dict[str, Any]:
    """One run in its own process."""
    records(run["service"], run["count"])  # Made once, for all forks.
    assert threading.active_count() == 1
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        gc.disable()
        try:
            bomb = Bomb(run.get("point"), run.get("times", 0))
            plant(bomb)
            report = asyncio.run(sync(run, bomb, functools.partial(os.write, writing, b"\n")))
            os.write(writing, b"\n" + json.dumps(counts(report)).encode())
            status = 0
        except BaseException:  # noqa: BLE001  (shown, and the fork ends here)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    if run.get("calls"):
        os.read(reading, 1)
    if run.get("after") is not None:
        time.sleep(run["after"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    ended = {"killed": os.WIFSIGNALED(status), "status": os.waitstatus_to_exitcode(status)}
    return ended | {"counts": json.loads(text) if text.strip() else None}


def counts(report: Report) -> dict[str, int]:
    return {str(state): count for state, count in report.counts.items()} | {"rows": report.rows}


if __name__ == "__main__":
    for module in TRANSPORT:
        importlib.import_module(module)
    gc.freeze()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(json.loads(line))) + "\n")
        sys.stdout.flush()
