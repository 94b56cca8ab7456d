"""`sync --via vitec`, its state store and its `reconcile`: no row is sent twice without a request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import (
    ErrorBudget,
    Resend,
    StateStoreError,
    VitecSink,
    read_leads,
    reconcile,
    sync_leads,
    unknown_rows,
)
from publitrac_async.bulk.sending import _GROWTH_INTERVAL
from publitrac_async.config import VITEC_CONCURRENCY
from publitrac_async.sandbox import Fault, Sandbox
from publitrac_async.vitec import LeadSource, VitecClient
from tests.support.commands import Program, start_command

ROOT = Path(__file__).parents[3]
ROWS = 30
PATIENT = ErrorBudget(in_a_row=10_000)


def rows(count: int = ROWS) -> list[dict[str, str]]:
    return [
        {"email": f"p{n}@example.com", "firstName": f"P{n}", "lastName": "Ek", "notes": "Hej"}
        for n in range(count)
    ]


def sink(vitec: VitecClient) -> VitecSink:
    return VitecSink(vitec, "M30011", lead_source=LeadSource(name="Web"), destination="of the tests")


def arrivals(sandbox: Sandbox) -> Counter[str]:
    return Counter(each.key or "" for each in sandbox.journal.arrivals if each.api == "vitec")


def stored(sandbox: Sandbox) -> int:
    return len(sandbox.contents("vitec")["leads"])


async def test_every_row_is_a_lead_and_none_is_created_twice(
    vitec: VitecClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    source = [*rows(), rows()[0] | {"notes": "newer"}, {"email": "no names"}]
    report = await sync_leads(source, sink(vitec), state=tmp_path / "run.sqlite")
    assert (report.ok, report.skipped, report.rejected, report.sink) == (ROWS, 1, 1, "vitec")
    assert stored(sandbox) == ROWS
    again = await sync_leads(source, sink(vitec), state=tmp_path / "run.sqlite")
    assert (again.ok, again.skipped, again.rejected) == (0, ROWS + 1, 1)
    assert stored(sandbox) == ROWS


async def test_rows_that_may_have_arrived_wait_to_be_reconciled(
    vitec: VitecClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    store = tmp_path / "run.sqlite"
    for applied in (True, False):
        sandbox.inject(Fault("drop", match="vitec", apply=applied, probability=0.3, times=None))
    report = await sync_leads(rows(), sink(vitec), state=store, error_budget=PATIENT, concurrency=4)
    sandbox.clear_faults()
    assert report.unknown
    assert report.ok + report.unknown == ROWS

    for again in (Resend(), Resend(unchanged=True), Resend(rejected=True)):
        if not again.unchanged:  # All rows: those that were accepted are created once more, on request.
            found = await sync_leads(rows(), sink(vitec), state=store, resend=again)
            assert (found.unknown, found.skipped) == (report.unknown, report.ok)
    assert max(arrivals(sandbox).values()) == 1

    waiting = await unknown_rows(store)
    assert len(waiting) == report.unknown
    assert all("connection closed" in (each.reason or "") for each in waiting)
    there = {lead["email"]["emailAddress"] for lead in sandbox.contents("vitec")["contacts"]}
    arrived = [each.key for each in waiting if each.key in there]
    lost = [each.key for each in waiting if each.key not in there]
    assert arrived
    assert lost
    assert await reconcile(store, [key.upper() for key in arrived], arrived=True) == len(arrived)
    assert await reconcile(store, lost, arrived=False) == len(lost)
    assert await unknown_rows(store) == []

    last = await sync_leads(rows(), sink(vitec), state=store)
    assert (last.ok, last.skipped, last.unknown) == (len(lost), ROWS - len(lost), 0)
    assert stored(sandbox) == ROWS


async def test_unchanged_rows_are_sent_again_and_unknown_ones_are_not(
    vitec: VitecClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault("drop", match="vitec", apply=True))
    await sync_leads(rows(3), sink(vitec), state=tmp_path / "run.sqlite", concurrency=1)
    report = await sync_leads(
        rows(3), sink(vitec), state=tmp_path / "run.sqlite", resend=Resend(unchanged=True)
    )
    assert (report.ok, report.unknown) == (2, 1)
    assert sorted(arrivals(sandbox).values()) == [1, 2, 2]


async def test_reconciling_rows_whose_outcome_is_known(
    vitec: VitecClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    store = tmp_path / "run.sqlite"
    sandbox.inject(Fault("drop", match="vitec"))
    await sync_leads(rows(2), sink(vitec), state=store, concurrency=1)
    with pytest.raises(StateStoreError, match="1 of 2 keys have no unknown outcome"):
        await reconcile(store, ["p0@example.com", "p1@example.com"], arrived=True)
    assert [each.key for each in await unknown_rows(store)] == ["p0@example.com"]
    with pytest.raises(StateStoreError, match=r"no state store none\.sqlite"):
        await unknown_rows(tmp_path / "none.sqlite")


async def test_refusals_of_the_service(vitec: VitecClient, sandbox: Sandbox, tmp_path: Path) -> None:
    long = rows(2)[1] | {"firstName": "x" * 41}
    report = await sync_leads([rows(1)[0], long], sink(vitec), state=tmp_path / "run.sqlite")
    assert (report.ok, report.rejected) == (1, 1)
    assert report.rejections[0].reason == "person.firstName: refused by the service"


# The command.


class Command:
    """``publitrac-async`` in its own process."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._environment = {
            "VITEC_BASE_URL": sandbox.base_url,
            "VITEC_USERNAME": "marketplace",
            "VITEC_PASSWORD": "password-of-M30011",
            "PYTHONPATH": str(ROOT),
        }
        self._folder = folder

    async def start(self, *arguments: str) -> Program:
        return await start_command(
            *arguments, cwd=self._folder, variables={**os.environ, **self._environment}
        )

    async def __call__(self, *arguments: str) -> tuple[int | None, str]:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        return process.returncode, (out + err).decode()

    def sync(self, *more: str) -> tuple[str, ...]:
        options = ("--via", "vitec", "--customer", "M30011", "--lead-source", "Web", "--rate", "1000")
        return ("sync", "leads.csv", *options, *more)


@pytest.fixture
def command(sandbox: Sandbox, tmp_path: Path) -> Command:
    header = "email,firstName,lastName,notes\n"
    lines = [",".join(row.values()) + "\n" for row in rows()]
    (tmp_path / "leads.csv").write_text(header + "".join(lines), encoding="utf-8")
    assert len(list(read_leads(tmp_path / "leads.csv"))) == ROWS
    return Command(sandbox, tmp_path)


async def test_a_killed_run_leaves_the_calls_in_flight_unknown(command: Command, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("delay", match="vitec", seconds=60, after=10, times=None))
    process = await command.start(*command.sync("--state", "run.sqlite"))
    async with asyncio.timeout(20):
        while len(arrivals(sandbox)) < 10 + VITEC_CONCURRENCY:  # Every worker waits in a call.
            await asyncio.sleep(0.01)
    # A row that is begun but waits in the client would be unknown: give the run time to begin one.
    await asyncio.sleep(5 * _GROWTH_INTERVAL)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    sandbox.clear_faults()
    in_doubt = sorted(set(arrivals(sandbox)) - taken(sandbox))
    assert len(in_doubt) == VITEC_CONCURRENCY

    status, said = await command(*command.sync("--state", "run.sqlite"))
    assert status == 3, said
    assert "look them up at Vitec, then run `publitrac-async reconcile run.sqlite`" in said
    assert max(arrivals(sandbox).values()) == 1
    assert len(arrivals(sandbox)) == ROWS, said

    status, said = await command("reconcile", "run.sqlite", "--json")
    assert status == 3
    waiting = [json.loads(line)["key"] for line in said.splitlines()]
    assert sorted(waiting) == in_doubt
    status, said = await command("reconcile", "run.sqlite", "--send-again", *waiting)
    assert (status, said) == (0, f"{len(waiting)} reconciled: the next run sends them again.\n")
    assert (await command(*command.sync("--state", "run.sqlite")))[0] == 0
    status, said = await command("reconcile", "run.sqlite")
    assert (status, said) == (0, "0 rows with an unknown outcome.\n")
    assert taken(sandbox) == {row["email"] for row in rows()}


def taken(sandbox: Sandbox) -> set[str]:
    return {lead["email"]["emailAddress"] for lead in sandbox.contents("vitec")["contacts"]}


async def test_a_dry_run_sends_nothing(command: Command, sandbox: Sandbox) -> None:
    status, said = await command(*command.sync("--dry-run", "--json"))
    assert status == 0, said
    first = next(event for event in map(json.loads, said.splitlines()) if event["event"] == "row")
    assert first["fields"]["person"]["email"] == {"emailAddress": "p0@example.com"}
    assert json.loads(said.splitlines()[-1])["sendable"] == ROWS
    assert not arrivals(sandbox)


async def test_the_sandbox_of_the_command(command: Command, sandbox: Sandbox) -> None:
    status, said = await command("sync", "leads.csv", "--via", "vitec", "--sandbox", "--rate", "1000")
    assert status == 0, said
    assert f"to the sandbox by vitec: {ROWS} rows" in said
    assert not arrivals(sandbox)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("sync", "leads.csv", "--via", "vitec", "--lead-source", "Web"), "needs --customer"),
        (("sync", "leads.csv", "--via", "vitec", "--customer", "M30011"), "needs --lead-source"),
        (("sync", "leads.csv", "--via", "vitec", "--lead-source", "Web", "--verify"), "--verify"),
        (("reconcile", "leads.csv"), "store"),
        (("reconcile", "leads.csv", "--arrived"), "name the rows"),
        (("reconcile", "leads.csv", "a@example.com"), "name the rows"),
    ],
)
async def test_options_that_do_not_fit(command: Command, arguments: Any, complaint: str) -> None:
    status, said = await command(*arguments)
    assert status == 2
    assert complaint in said
