"""Bulk run with CSV, mapping, state store and a transport without network: CPU per row, peak memory.

Each size runs in a separate process, on one core, so that the peaks are comparable: memory must not grow with
the number of rows. All checks are on. The peer is a plain loop that reads the CSV, makes a typed record,
dumps JSON, and writes one row of SQLite. ``python bulk.py COUNT FOLDER`` runs one such process, ``python
bulk.py loop COUNT FOLDER`` the loop; ``python bulk.py stages COUNT`` measures single stages.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pickle
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from publitrac_async import PublitracClient
from publitrac_async.bulk import (
    ColumnMapping,
    Monitor,
    Phase,
    Progress,
    PublitracV2Sink,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.columns import Columns
from publitrac_async.transport.aiohttp_transport import AiohttpTransport, Outgoing
from publitrac_async.transport.operation import Departure

SUCCESS = b'{"status": "success", "code": 200}'
TOKEN = b'{"token": "djs4fdn4dJTer489!", "ttl": "900"}'
MAPPING = ColumnMapping.from_dict(
    {
        "fields": {
            "email": "E-mail",
            "firstName": "First name",
            "lastName": "Last name",
            "phone": "Telephone",
            "company": "Company",
            "score": "Score",
        },
        "custom_fields": {"carColor": "Colour of car"},
    }
)
#: Calls in flight. Rows wait for the disk twice, and the rows in flight share these waits.
WORKERS = 256


class NullExchange:
    """Response that has arrived completely."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read_head(self) -> SimpleNamespace:
        headers = ((b"content-length", b"%d" % len(self._body)),)
        return SimpleNamespace(code=200, raw_headers=headers)

    def __aiter__(self) -> NullExchange:
        return self

    async def __anext__(self) -> bytes:
        body, self._body = self._body, b""
        if not body:
            raise StopAsyncIteration
        return body

    def end(self) -> None:
        """Do nothing: there is no connection."""


class NullTransport(AiohttpTransport):
    """Default transport without network, which confirms every request.

    It replaces the method that takes bytes. With a replaced `handle_async_request`, the client would make
    objects of httpx, which take a tenth of the time of a call and which the default transport does not need.
    """

    async def send(self, outgoing: Outgoing, departure: Departure | None, _: object) -> Any:
        assert departure is not None
        await departure.permit()
        departure.sent()
        return NullExchange(TOKEN if outgoing.data.startswith(b"GET") else SUCCESS)


def rows(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {
            "E-mail": f"lead{number}@example.com",
            "First name": "Zoé",
            "Last name": f"Smith {number}",
            "Telephone": "+1 555 555 2149",
            "Company": "Example & Sons",
            "Score": str(number % 100),
            "Colour of car": "Red",
        }


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, next(rows(1)).keys())
        writer.writeheader()
        writer.writerows(rows(count))


def client() -> PublitracClient:
    return PublitracClient(
        api_key="key", transport=NullTransport(pool_size=1), rate_limit=None, concurrency=WORKERS
    )


@dataclass(slots=True)
class Person:
    """The record of the plain loop."""

    email: str
    first_name: str
    last_name: str
    phone: str
    company: str
    score: int
    car_colour: str


def plain_loop(count: int, folder: Path) -> dict[str, Any]:
    """Measure the CPU of a row without mapping, checks, plan, state and report: the minimum of any tool."""
    cpu = time.process_time()
    database = sqlite3.connect(folder / "loop.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE leads (email TEXT PRIMARY KEY, state TEXT, body BLOB) WITHOUT ROWID")
    done = 0
    with (folder / "leads.csv").open(encoding="utf-8", newline="") as file:
        database.execute("BEGIN")
        for row in csv.DictReader(file):
            person = Person(
                row["E-mail"],
                row["First name"],
                row["Last name"],
                row["Telephone"],
                row["Company"],
                int(row["Score"]),
                row["Colour of car"],
            )
            body = json.dumps(asdict(person), ensure_ascii=False)
            database.execute("INSERT INTO leads VALUES (?, 'ok', ?)", (person.email, body))
            done += 1
            if done % WORKERS == 0:
                database.execute("COMMIT")
                database.execute("BEGIN")
        database.execute("COMMIT")
    database.close()
    assert done == count
    return {"rows": count, "cpu_us_per_row": (time.process_time() - cpu) / count * 1e6}


class Phases:
    """CPU time by phase."""

    def __init__(self) -> None:
        self.at: dict[Phase, float] = {}

    def __call__(self, progress: Progress) -> None:
        self.at.setdefault(progress.phase, time.process_time())


async def one(count: int, folder: Path) -> dict[str, Any]:
    source = folder / "leads.csv"
    phases = Phases()
    wall, cpu = time.perf_counter(), time.process_time()
    async with client() as publitrac:
        report = await sync_leads(
            read_leads(source),
            publitrac.v2,
            state=folder / "run.sqlite",
            mapping=MAPPING,
            concurrency=WORKERS,
            monitor=Monitor(phases),
        )
    end = time.process_time()
    wall = time.perf_counter() - wall
    assert report.accepted == count, report
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    marks = [*phases.at.values(), end]
    return {
        "rows": count,
        "rows_per_second": count / wall,
        "rows_per_cpu_second": count / (end - cpu),
        "cpu_us_per_row": (end - cpu) / count * 1e6,
        "cpu_us_per_row_by_phase": {
            phase: (after - before) / count * 1e6
            for phase, before, after in zip(phases.at, marks, marks[1:], strict=False)
        },
        "peak_mb": peak / (1024 if sys.platform == "linux" else 1024 * 1024),
    }


async def stages(count: int) -> dict[str, float]:
    """Measure the CPU of single stages, in microseconds per row."""
    measured: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        measured[name] = (time.process_time() - start) / count * 1e6
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        write_csv(path, count)
        source = timed("read the file", lambda: [row.fields for row in read_leads(path)])
    columns = Columns(MAPPING)
    columns.check(list(source[0]), "leads.csv")
    mapped = timed("map", lambda: [columns.convert(fields) for fields in source])
    async with client() as publitrac:
        sink = PublitracV2Sink(publitrac.v2)
        prepared = timed("check and write as JSON", lambda: [sink.to_record(fields) for fields in mapped])
        timed("pickle for the staging", lambda: [pickle.dumps((fields, 1), 5) for fields in source])
        records = iter([each.content for each in prepared])

        async def send() -> None:
            for record in records:
                await sink.send([record])

        start = time.process_time()
        await asyncio.gather(*(send() for _ in range(WORKERS)))
        measured["call, without network"] = (time.process_time() - start) / count * 1e6
    return measured


def run(*, sizes: list[int], rounds: int = 3) -> dict[str, Any]:
    """Measure each size, the first one together with the loop, and the stages."""
    compared: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "leads.csv", sizes[0])
        for _ in range(rounds):
            compared.append((_process("loop", sizes[0], folder), _process(sizes[0], folder)))
            for leftover in Path(folder).glob("*.sqlite*"):
                leftover.unlink()
    measured = [compared[-1][1]]
    for size in sizes[1:]:
        with tempfile.TemporaryDirectory() as folder:
            write_csv(Path(folder) / "leads.csv", size)
            measured.append(_process(size, folder))
    return {
        "workers": WORKERS,
        "runs": measured,
        "loop_cpu_us_per_row": median(loop["cpu_us_per_row"] for loop, _ in compared),
        "times_loop": median(own["cpu_us_per_row"] / loop["cpu_us_per_row"] for loop, own in compared),
        "stages_us_per_row": _process("stages", min(sizes)),
    }


def _process(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if sys.argv[1] == "stages":
        print(json.dumps(asyncio.run(stages(int(sys.argv[2])))))
    elif sys.argv[1] == "loop":
        print(json.dumps(plain_loop(int(sys.argv[2]), Path(sys.argv[3]))))
    else:
        print(json.dumps(asyncio.run(one(int(sys.argv[1]), Path(sys.argv[2])))))
