"""Runs bulk syncs in forks of this small process, and kills them. Started by `test_kills`.

One JSON object a line comes in and describes a run; one goes out and tells how it ended. Forking a process
that has everything loaded takes some milliseconds, starting one takes half a second.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from publitrac_async import Lead, PublitracError
from publitrac_async.bulk import Prepared, Report, State, prepare_lead, results, sync_leads
from publitrac_async.bulk.database import Database

WORKERS = 8


def source(count: int) -> list[dict[str, str]]:
    """Some leads come twice; the later row counts."""
    rows = [{"email": f"lead{number}@example.com", "city": "first"} for number in range(count)]
    rows += [{"email": f"lead{number}@example.com", "city": "last"} for number in range(0, count, 97)]
    return rows


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


class JournalSink:
    """Notes every arrival in a file before it answers, as a service that applies a call would."""

    name = destination = "journal"
    acknowledges = State.OK

    def __init__(self, run: Mapping[str, Any], bomb: Bomb) -> None:
        self.repeatable = bool(run["repeatable"])
        self.batch_size = int(run["batch"])
        self._number = run["number"]
        self._pause = run["pause"]
        self._bomb = bomb
        self._journal = os.open(run["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def prepare(self, fields: Mapping[str, Any] | Lead) -> Prepared[Lead]:
        return prepare_lead(fields)

    async def send(self, records: Sequence[Lead]) -> Sequence[PublitracError | None]:
        self._bomb("send: before arrival")
        lines = "".join(f"{self._number} {lead.email} {lead.city}\n" for lead in records)
        os.write(self._journal, lines.encode())
        self._bomb("send: after arrival")
        await asyncio.sleep(self._pause)
        return [None] * len(records)


class Connection:
    """An SQLite connection that passes the bomb at every commit."""

    def __init__(self, connection: Any, bomb: Bomb) -> None:
        self._connection = connection
        self._bomb = bomb
        self._kind = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *parameters)
        self._bomb(f"{self._kind}: before commit")
        result = self._connection.execute(sql)
        self._bomb(f"{self._kind}: after commit")
        return result

    def executemany(self, sql: str, parameters: Any) -> Any:
        kinds = {
            "INSERT INTO spool.rows": "stage",
            "INSERT INTO spool.latest": "plan",
            "UPDATE leads SET state = 'sending'": "intent",
            "UPDATE leads SET state = ?": "outcome",
        }
        self._kind = next((kind for start, kind in kinds.items() if sql.startswith(start)), self._kind)
        return self._connection.executemany(sql, parameters)

    def close(self) -> None:
        self._bomb("close")
        self._connection.close()


def plant(bomb: Bomb) -> None:
    open_file, record = Database._open, results._record

    def opened(self: Database, layout: str) -> None:
        open_file(self, layout)
        bomb("open")
        self._connection = Connection(self._connection, bomb)  # type: ignore[assignment]

    def recorded(account: Any) -> Any:
        bomb("results")
        return record(account)

    Database._open = opened  # type: ignore[method-assign]
    results._record = recorded


async def sync(run: Mapping[str, Any], bomb: Bomb) -> Report:
    return await sync_leads(
        source(run["count"]), JournalSink(run, bomb), ledger=Path(run["ledger"]), workers=WORKERS
    )


def fork(run: Mapping[str, Any]) -> dict[str, Any]:
    """One run in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        gc.disable()
        try:
            bomb = Bomb(run.get("point"), run.get("times", 0))
            plant(bomb)
            report = asyncio.run(sync(run, bomb))
            os.write(writing, json.dumps(counts(report)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    if run.get("after") is not None:
        time.sleep(run["after"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    ended = {"killed": os.WIFSIGNALED(status), "status": os.waitstatus_to_exitcode(status)}
    return ended | {"counts": json.loads(text) if text else None}


def counts(report: Report) -> dict[str, int]:
    return {str(state): count for state, count in report.counts.items()} | {"rows": report.rows}


if __name__ == "__main__":
    gc.freeze()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(json.loads(line))) + "\n")
        sys.stdout.flush()
