"""Workers that are killed: no lead is lost, and nothing is repeated but what was under way."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from publitrac_async import Lead, PublitracClient
from publitrac_async.bulk import (
    ErrorBudget,
    Monitor,
    Phase,
    Progress,
    PublitracV2Sink,
    Report,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.distributed.docket import DocketExecutor
from tests.support.executor_processes import ACCOUNT, JournalSink, Service, Workers
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL"),
]

LEADS = 8000
FEWER = 4000
KILLS = 16
LOCAL_KILLS = 12
CALLS = 4
CHUNKS = 2
#: Seconds after which the chunks of a killed worker go to another one.
LEASE = 2.0
IN_FLIGHT = CALLS * CHUNKS
Trouble: TypeAlias = Callable[[Server, "Killer"], Awaitable[None]]
PATIENT = ErrorBudget(share=1, in_a_row=10**6)


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps what it knows when it is restarted."""
    server = Server(tmp_path_factory.mktemp("keeping"), appendonly="yes", appendfsync="always")
    yield server
    server.stop()


@pytest.fixture
async def redis(keeping: Server) -> Server:
    keeping.start()
    await keeping.ask("FLUSHALL")
    return keeping


def table(folder: Path, count: int) -> tuple[Path, dict[str, str]]:
    """A file in which some leads come twice.

    Returns:
        Its path, and the city of the last row of each lead.
    """
    rows = [(f"lead{number}@example.com", "first") for number in range(count)]
    rows += [(f"lead{number}@example.com", "last") for number in range(0, count, 97)]
    path = folder / "leads.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "city"])
        writer.writerows(rows)
    return path, dict(rows)


class Killer:
    """Two workers, one of which is killed again and again, and replaced.

    Args:
        workers: of which none runs yet.
        kills: how many, all over the run.
        leads: that will be sent.
        seed: of what is left to chance.
    """

    def __init__(self, workers: Workers, kills: int, leads: int, seed: int) -> None:
        self._workers = workers
        self._chance = random.Random(seed)
        self._after = [leads * number // (kills + 2) for number in range(1, kills + 1)]
        self._done = 0
        for _ in range(2):
            workers.start()

    def told(self, progress: Progress) -> None:
        if progress.phase is Phase.SENDING:
            self._done = progress.done

    async def reached(self, done: int) -> None:
        """Wait until so many leads are through."""
        while self._done < done:
            await asyncio.sleep(0.01)

    async def go_on(self) -> None:
        for done in self._after:
            await self.reached(done)
            await asyncio.sleep(self._chance.uniform(0, 0.1))
            self._workers.kill(self._chance.choice(self._workers.running))
            self._workers.start()


def settings(redis: Server, folder: Path, **more: Any) -> dict[str, Any]:
    log = str(folder / "workers.log")
    return {"url": redis.url, "calls": CALLS, "chunks": CHUNKS, "lease": LEASE, "log": log, **more}


async def submit(
    redis: Server, path: Path, sink: Any, killer: Killer, trouble: Trouble, **options: Any
) -> Report:
    async with asyncio.TaskGroup() as group:
        group.create_task(killer.go_on())
        group.create_task(trouble(redis, killer))
        report = await sync_leads(
            read_leads(path),
            sink,
            state=OwnRedisState(redis.url, account=ACCOUNT, lease=LEASE),
            executor=DocketExecutor(),
            error_budget=PATIENT,
            monitor=Monitor(killer.told, interval=0.05),
            **options,
        )
    assert report.stopped is None
    assert sum(report.counts.values()) == report.rows
    return report


def check_log(folder: Path, *secrets: str) -> None:
    """Neither personal data nor credentials stand there, whatever went wrong."""
    text = (folder / "workers.log").read_text()
    assert "send_chunk" in text
    assert [each for each in ("@example.com", ACCOUNT, *secrets) if each in text] == []


def tell(what: str, report: Report, workers: Workers, **figures: Any) -> None:
    found = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"{what}: {report.rows} rows, {workers.kills} kills, {found}, {report.seconds:.0f} s")  # noqa: T201  (shown by -s)


async def nothing(redis: Server, killer: Killer) -> None:
    pass


async def outages(redis: Server, killer: Killer) -> None:
    """Redis begins anew from its disk, and connections break."""
    await killer.reached(FEWER // 5)
    await redis.restart()
    for part in (2, 3, 4):
        await killer.reached(FEWER * part // 5)
        await redis.cut_connections()


@pytest.mark.parametrize(
    ("leads", "kills", "trouble"),
    [(LEADS, KILLS, nothing), (FEWER, 4, outages)],
    ids=["many kills", "outages of Redis"],
)
async def test_killed_workers_lose_no_upsert(
    redis: Server, tmp_path: Path, leads: int, kills: int, trouble: Trouble
) -> None:
    path, wanted = table(tmp_path, leads)
    with Service() as service, Workers(settings(redis, tmp_path, **service.place)) as workers:
        killer = Killer(workers, kills, leads, seed=20261121)
        async with PublitracClient(**service.place) as publitrac:
            report = await submit(redis, path, PublitracV2Sink(publitrac.v2), killer, trouble)
            digests = {
                email: hashlib.sha256(publitrac.v2.prepare(Lead(email=email, city=city)).body).hexdigest()
                for email, city in wanted.items()
            }
        arrivals = service.arrivals()
    check_log(tmp_path, service.place["api_key"])
    counted = Counter(each["key"] for each in arrivals)
    repeated = sum(counted.values()) - len(counted)
    tell("upserts", report, workers, arrivals=len(arrivals), repeated=repeated)
    assert (report.accepted, report.skipped) == (len(wanted), report.rows - len(wanted))
    assert workers.kills == kills
    assert {(each["key"], each["payload_sha256"]) for each in arrivals} == digests.items()
    if trouble is nothing:
        # Some kills hit calls under way, or this would prove nothing.
        assert 0 < repeated <= kills * IN_FLIGHT
    else:
        # What was under way when Redis went may be in doubt as well, once in each worker and outage.
        assert repeated <= (kills + 2 * 4) * IN_FLIGHT


@pytest.mark.parametrize(
    ("leads", "kills", "trouble"),
    [(LEADS, KILLS, nothing), (FEWER, 4, outages)],
    ids=["many kills", "outages of Redis"],
)
async def test_killed_workers_repeat_no_append(
    redis: Server, tmp_path: Path, leads: int, kills: int, trouble: Trouble
) -> None:
    path, wanted = table(tmp_path, leads)
    journal = tmp_path / "journal"
    journal.touch()
    more = {"journal": str(journal), "pause": 0.005}
    with Workers(settings(redis, tmp_path, **more)) as workers:
        killer = Killer(workers, kills, leads, seed=20261122)
        sink = JournalSink(str(journal), 0)
        report = await submit(redis, path, sink, killer, trouble, results_dir=tmp_path / "results")
    check_log(tmp_path)
    arrived = Counter(tuple(line.split()) for line in journal.read_text().splitlines())
    with (tmp_path / "results" / "unprocessed.csv").open(newline="", encoding="utf-8-sig") as file:
        unknown = {row["email"] for row in csv.DictReader(file)}
    missing = wanted.keys() - {email for email, _ in arrived}
    tell("appends", report, workers, arrivals=arrived.total(), unknown=len(unknown), missing=len(missing))
    assert workers.kills == kills
    assert set(arrived) <= wanted.items()
    assert max(arrived.values()) == 1, "sent twice"
    assert missing <= unknown
    assert report.unknown == len(unknown)
    assert (report.ok, report.pending) == (len(wanted) - len(unknown), 0)
    if trouble is nothing:
        assert 0 < len(unknown) <= kills * IN_FLIGHT
    else:
        assert len(unknown) <= (kills + 2 * 4) * IN_FLIGHT


async def grown(journal: Path, size: int) -> None:
    """Wait until `journal` has `size` bytes."""
    while journal.stat().st_size < size:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("idempotent", [True, False], ids=["upserts", "appends"])
async def test_processes_that_take_over_a_local_run(redis: Server, tmp_path: Path, idempotent: bool) -> None:
    path, wanted = table(tmp_path, LEADS)
    journal = tmp_path / "journal"
    journal.touch()
    more = {"journal": str(journal), "pause": 0.003, "source": str(path), "lease": 0.5}
    chance = random.Random(20261123)
    with Workers(settings(redis, tmp_path, **more, idempotent=idempotent)) as workers:
        for _ in range(2):
            workers.start()
        for _ in range(LOCAL_KILLS):
            # Kill by progress, not by time: on a busy machine a process would die before its first call.
            await grown(journal, journal.stat().st_size + chance.randint(1, 12_000))
            workers.kill(chance.choice(workers.running))
            workers.start()
        for number in [*workers.running]:
            workers.kill(number)
    before = journal.read_text().count("\n")
    store = OwnRedisState(redis.url, account=ACCOUNT, lease=0.5)
    await asyncio.sleep(1)
    sink = JournalSink(str(journal), 0, idempotent=idempotent)
    report = await sync_leads(read_leads(path), sink, state=store, error_budget=PATIENT)
    arrived = Counter(tuple(line.split()) for line in journal.read_text().splitlines())
    missing = wanted.keys() - {email for email, _ in arrived}
    repeated = arrived.total() - len(arrived)
    tell("local", report, workers, arrivals=arrived.total(), before=before, repeated=repeated)
    assert set(arrived) <= wanted.items()
    assert len(arrived) + len(missing) == len(wanted)
    assert report.ok + report.unknown + report.skipped == report.rows
    # Several of the killed ones were in the midst of calls, or this would prove nothing.
    if idempotent:
        assert (report.unknown, missing) == (0, set())
        assert CALLS < repeated <= workers.kills * CALLS
    else:
        assert repeated == 0, "sent twice"
        assert len(missing) <= report.unknown <= workers.kills * CALLS
        assert report.unknown > CALLS
