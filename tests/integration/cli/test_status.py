"""`status` in this process, over a real Redis: table, JSON, failed rows."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ValidationError
from publitrac_async.bulk import BulkError, Shutdown, read_leads
from publitrac_async.bulk.distributed.docket import DocketExecutor, serve
from publitrac_async.bulk.state.progress import FAILED
from publitrac_async.bulk.sync import sync_leads
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.status import StatusOptions, run_status
from tests.integration.shared.conftest import one_server, server  # noqa: F401  (fixtures)
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.sinks import RecordingSink, rows

ACCOUNT = "the-key"


def refuse_some(lead: Any) -> ValidationError | None:
    if int(lead.email[4:].partition("@")[0]) % 10:
        return None
    return ValidationError("=1+1: the last name is unusable", code=1004)


@pytest.fixture
async def run(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:  # noqa: F811
    """A run of 30 rows that has ended, and a worker."""
    monkeypatch.setenv("PUBLITRAC_API_KEY", ACCOUNT)
    monkeypatch.setenv("PUBLITRAC_REDIS_URL", server.url)
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._POLL", 0.02)
    path = tmp_path / "leads.csv"
    lines = ["email", *(row["email"] for row in rows(30)), "no address"]
    path.write_text("\n".join(lines) + "\n")
    shutdown, sink = Shutdown(), RecordingSink(refuse_some)
    store = OwnRedisState(server.url, account=ACCOUNT)
    serving = asyncio.create_task(serve(sink, store, shutdown=shutdown))
    await sync_leads(
        read_leads(path),
        sink,
        state=OwnRedisState(server.url, account=ACCOUNT),
        executor=DocketExecutor(chunk_rows=10),
    )
    yield server
    shutdown.request()
    await serving
    await store.aclose()


def options(**given: Any) -> StatusOptions:
    defaults = {"state": None, "via": "v2", "own": {}, "redis": None, "watch": None, "failed": None}
    return StatusOptions(**{**defaults, "as_json": False, **given})


async def test_runs_and_workers_as_a_table(run: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_status(options()) == 0
    title, row, worker = capsys.readouterr().out.splitlines()
    titles = ["state store", "run", "phase", "rows", "queued", "in flight", "failed", "rate", "workers"]
    assert title.split() == " ".join(titles).split()
    cells = row.split()
    assert (cells[0], cells[2:7], cells[8]) == ("default", ["ended", "30", "0", "0", "4"], "1")
    assert worker.startswith("default: worker ")


async def test_runs_and_workers_as_json(run: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_status(options(state="default", as_json=True)) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert (found["rows"], found["queued"], found["in_flight"], found["failed"]) == (30, 0, 0, 4)
    assert (found["counts"], found["refused"]) == ({"ok": 27, "rejected": 3}, 1)
    assert found["destination"] == "test"
    assert [each.keys() for each in found["workers"]] == [{"name", "last_seen"}]


async def test_it_refreshes_until_it_is_ended(run: Server, capsys: pytest.CaptureFixture[str]) -> None:
    watching = asyncio.create_task(run_status(options(watch=0.02, as_json=True)))
    text = ""
    async with asyncio.timeout(20):
        while text.count("\n") < 3:
            await asyncio.sleep(0.01)
            text += capsys.readouterr().out
    os.kill(os.getpid(), signal.SIGINT)
    assert await watching == 0
    assert all(json.loads(line)["runs"] for line in text.splitlines())


async def test_failed_rows_are_there_without_the_process_that_started_the_run(
    run: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "failed.csv"
    assert await run_status(options(failed=str(path))) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["publitrac_line"] for row in found] == ["2", "12", "22", "32"]
    assert {row["publitrac_status"] for row in found} == {"rejected"}
    assert found[0]["publitrac_code"] == "1004"
    # A spreadsheet would execute it.
    assert found[0]["publitrac_reason"] == "'=1+1: the last name is unusable"
    assert "4 failed rows of run " in capsys.readouterr().err


async def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    run: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "failed.csv"
    folder.mkdir()
    with pytest.raises(CommandError, match=r"failed\.csv cannot be written: Is a directory") as refused:
        await run_status(options(failed=str(folder)))
    assert refused.value.status == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "leads.csv", folder]


async def test_a_damaged_state_store_ends_the_refreshing(run: Server) -> None:
    (key,) = (key for key in await run.keys() if key.endswith("progress"))
    await run.ask("HSET", key, "rows", "many")
    async with asyncio.timeout(20):
        with pytest.raises(BulkError, match="damaged"):
            await run_status(options(watch=0.02))


async def test_a_state_store_that_no_run_has_used(run: Server, tmp_path: Path) -> None:
    for given in ({}, {"failed": str(tmp_path / "failed.csv")}):
        with pytest.raises(CommandError, match="no run has used a state store other; known: default"):
            await run_status(options(state="other", **given))
    assert not (tmp_path / "failed.csv").exists()


async def test_an_unreachable_redis_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLITRAC_API_KEY", ACCOUNT)
    monkeypatch.setattr("publitrac_async.cli.status._TIMEOUT", 0.0)
    with pytest.raises(BulkError, match="does not respond"):
        await run_status(options(redis="redis://127.0.0.1:1", state="default"))


def test_failed_states_are_those_that_did_not_reach_the_service() -> None:
    assert {state.value for state in FAILED} == {"rejected", "unknown", "retry"}
