"""Bulk runs that are killed, checked by the sandbox's journal: no lead is lost, and nothing is sent twice but
what was under way."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from attrs import frozen

from publitrac_async.bulk import unknown_rows
from publitrac_async.sandbox import Arrival, Sandbox
from tests.support.kill_runner import WORKERS, source

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL"),
]

LEADS = 8000
WANTED = {row["email"]: row["city"] for row in source(LEADS)}
ROOT = Path(__file__).parents[3]

#: Kills at each point, in each of two campaigns.
REPEATS = 2
#: Points before the first call, and how often every run passes them at least.
AHEAD = {
    "open": 1,
    "stage: before commit": 3,
    "stage: after commit": 3,
    "plan: before commit": 1,
    "plan: after commit": 1,
}
CALLS = ("call: before", "call: sent", "call: responded")
COMMITS = ("intent: before commit", "intent: after commit", "outcome: before commit", "outcome: after commit")
#: Points after the last call, and how often every run passes them at least.
BEHIND = {"results": 6000, "close": 1}
#: The part of all leads over which kills during calls are spread; the rest is for later kills.
SPREAD = 0.97


@frozen
class Service:
    """A service of the sandbox.

    Attributes:
        name: in the journal, and for the runner.
        idempotent: whether calls with an unknown outcome are made again.
        credentials: for the client, out of the sandbox.
        cities: e-mail address and city of every lead that the sandbox holds.
        batch_size: leads in a call.
    """

    name: str
    idempotent: bool
    credentials: Callable[[Sandbox], Mapping[str, str]]
    cities: Callable[[Sandbox], list[tuple[str, str]]]
    batch_size: int = 1


def cities_of_v2(sandbox: Sandbox) -> list[tuple[str, str]]:
    sandbox.process_now()
    return [(lead["email"], lead["city"]) for lead in sandbox.leads()]


def cities_of_vitec(sandbox: Sandbox) -> list[tuple[str, str]]:
    contents = sandbox.contents("vitec")
    contacts = {contact["id"]: contact for contact in contents["contacts"]}
    persons = [contacts[lead["contactId"]] for lead in contents["leads"]]
    return [(person["email"]["emailAddress"], person["address"]["city"]) for person in persons]


def cities_of_marketo(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(lead["email"], lead["city"]) for lead in sandbox.contents("marketo")["leads"]]


V2 = Service("v2", True, lambda sandbox: {"api_key": sandbox.api_key}, cities_of_v2)
VITEC = Service(
    "vitec",
    False,
    lambda sandbox: {
        "username": sandbox.settings.vitec_username,
        "password": sandbox.settings.vitec_passwords["M30011"]["PublicAdvertising"],
    },
    cities_of_vitec,
)
MARKETO = Service(
    "marketo",
    False,
    lambda sandbox: {
        "client_id": sandbox.settings.marketo_client_id,
        "client_secret": sandbox.settings.marketo_client_secret,
    },
    cities_of_marketo,
    batch_size=7,
)


class Runner:
    """Communicates with the process that runs and kills."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.kill_runner"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._process.communicate(b"")  # It ends at the end of its input.

    async def run(self, **options: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(options).encode() + b"\n")
        ended: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return ended


class Campaign:
    """One state store, run after run, against one sandbox, which survives all kills."""

    def __init__(self, service: Service, folder: Path) -> None:
        folder.mkdir()
        self.kills = 0
        self.runs = 0
        #: Leads in the calls that can be in flight at once.
        self.in_flight = WORKERS * service.batch_size
        self._service = service
        self._store = folder / "run.sqlite"
        self._seen = 0
        #: For each run: leads in the order of their arrival, and those in flight when it was killed.
        self._arrived: list[list[str]] = []
        self._under_way: list[set[str]] = []
        #: Leads of any run, and how many they were at each kill.
        self._dealt_with: set[str] = set()
        self._positions: list[int] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            limits: dict[str, Any] = dict.fromkeys(("marketo_rate_limit", "marketo_concurrency"))
            self._sandbox = await stack.enter_async_context(Sandbox(rate_limit=None, **limits))
            self._runner = await stack.enter_async_context(Runner())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, **kill: Any) -> dict[str, Any]:
        ended = await self._runner.run(
            service=self._service.name,
            client={"base_url": self._sandbox.base_url, **self._service.credentials(self._sandbox)},
            batch=self._service.batch_size,
            state=str(self._store),
            count=LEADS,
            **kill,
        )
        assert ended["killed"] or ended["status"] == 0
        await self._received()
        arrived, under_way = self._arrivals(), self._look()
        assert len(under_way) <= self.in_flight
        self._arrived.append(arrived)
        self._under_way.append(under_way)
        self._dealt_with.update(arrived, under_way)
        self.runs += 1
        if ended["killed"]:
            self.kills += 1
            self._positions.append(len(self._dealt_with))
        return ended

    async def kill_at(self, point: str, times: int) -> None:
        ended = await self.run(point=point, times=times)
        assert ended["killed"], point
        if point in ("call: sent", "call: responded"):
            assert self._under_way[-1] & set(self._arrived[-1]), "the sandbox did not get the call"

    def ahead(self, part: float) -> int:
        """The number of leads that make up this part of all."""
        return max(1, int(LEADS * SPREAD * part) - len(self._dealt_with))

    async def check(self) -> None:
        """Let a run end, and compare the sandbox's journal with the input and the account."""
        final = (await self.run())["counts"]
        assert final["rows"] == len(source(LEADS))
        assert sum(final.values()) == 2 * final["rows"]
        assert final["pending"] == 0
        arrivals = [email for arrived in self._arrived for email in arrived]
        repeated = len(arrivals) - len(set(arrivals))
        held = self._service.cities(self._sandbox)
        assert len(held) == len(set(arrivals))
        assert dict(held) == {email: WANTED[email] for email in arrivals}
        in_doubt = set().union(*self._under_way)
        if self._service.idempotent:
            assert set(arrivals) == set(WANTED)
            assert final["unknown"] == 0
            # Some kills must hit calls in flight, or this would prove nothing.
            assert 0 < repeated <= sum(map(len, self._under_way))
            self._check_repeated()
            calls = [each for each in self._sandbox.journal.arrivals if self._is_lead(each)]
            assert len({(each.key, each.payload_sha256) for each in calls}) == len(WANTED)
        else:
            assert repeated == 0
            assert set(WANTED) - set(arrivals) <= in_doubt
            assert {each.key for each in await unknown_rows(self._store)} == in_doubt
            assert final["unknown"] == len(in_doubt) > 0
        quarters = {position * 4 // LEADS for position in self._positions}
        assert quarters >= {0, 1, 2, 3}, "the kills are not spread over all leads"

    def _check_repeated(self) -> None:
        """A lead is sent again only if it was in flight when the run of its last call was killed."""
        last: dict[str, int] = {}
        for run, arrived in enumerate(self._arrived):
            assert len(arrived) == len(set(arrived)), "sent twice in one run"
            for email in arrived:
                assert email not in last or email in self._under_way[last[email]], (
                    "sent twice although its outcome was known"
                )
                last[email] = run

    async def _received(self) -> None:
        """Wait until the sandbox has received all that a killed run has sent."""
        quiet = 0
        while quiet < 10:  # A connection that waits to be accepted is open some turns of the loop later.
            quiet = 0 if self._sandbox._state.connections else quiet + 1
            await asyncio.sleep(0)

    def _arrivals(self) -> list[str]:
        """The leads that have arrived since the journal was last read."""
        arrivals = self._sandbox.journal.arrivals[self._seen :]
        self._seen += len(arrivals)
        calls = [each for each in arrivals if self._is_lead(each)]
        assert all(each.applied for each in calls)
        return [email for each in calls for email in str(each.key).split(",")]

    def _is_lead(self, arrival: Arrival) -> bool:
        # A truncated request has no key, and neither has a token request.
        return arrival.api == self._service.name and arrival.key is not None

    def _look(self) -> set[str]:
        """Return the keys that are sending, from a copy of the state store."""
        folder = self._store.parent / "copy"
        folder.mkdir()
        for path in self._store.parent.glob("run.sqlite*"):
            shutil.copy(path, folder / path.name)
        with closing(sqlite3.connect(folder / "run.sqlite")) as connection:
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'leads'").fetchall()
            rows = connection.execute("SELECT key FROM leads WHERE state = 'sending'") if tables else ()
            found = {key for (key,) in rows}
        shutil.rmtree(folder)
        return found


async def random_kills(service: Service, folder: Path, kills: int) -> None:
    chance = random.Random(20261121 + kills)
    async with Campaign(service, folder) as campaign:
        while campaign.kills < kills:
            # One of five at a random moment, mostly while reading; the others during calls.
            ahead = campaign.ahead((campaign.kills + chance.random()) / kills)
            calls = ahead if campaign.kills % 5 else 0
            await campaign.run(calls=calls, after=chance.uniform(0, 0.01 if calls else 0.4))
            assert campaign.runs < kills + 10, "runs end before they are killed"
        await campaign.check()


async def placed_kills(service: Service, folder: Path) -> None:
    chance = random.Random(20261122)
    once = [*AHEAD, *CALLS, *COMMITS]
    points = [point for _ in range(REPEATS) for point in chance.sample(once, len(once))]
    async with Campaign(service, folder) as campaign:
        for number, point in enumerate(points, 1):
            if point in AHEAD:
                await campaign.kill_at(point, chance.randint(1, AHEAD[point]))
                continue
            # A commit is for all calls that wait for one.
            leads = campaign.in_flight if point in COMMITS else service.batch_size
            await campaign.kill_at(point, 1 + (campaign.ahead(number / len(points)) - 1) // leads)
        for point, most in BEHIND.items():
            for _ in range(REPEATS):
                await campaign.kill_at(point, chance.randint(1, most))
        await campaign.check()


@pytest.mark.fault("F29")
async def test_random_kills_lose_no_row_and_repeat_no_append(tmp_path: Path) -> None:
    # Two campaigns at once: most of their time goes into reading, for which each has a process.
    async with asyncio.TaskGroup() as group:
        group.create_task(random_kills(V2, tmp_path / "upserts", 60))
        group.create_task(random_kills(VITEC, tmp_path / "appends", 40))


@pytest.mark.fault("F29")
async def test_kills_at_every_point(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(placed_kills(V2, tmp_path / "upserts"))
        group.create_task(placed_kills(MARKETO, tmp_path / "appends"))
