"""`sync` for cron: default results, quiet runs, log files, lists, and the status of a state store in use."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from publitrac_async.bulk import ExitStatus, SqliteStateStore
from publitrac_async.bulk.errors import StateStoreInUse
from publitrac_async.cli.commands import commands
from publitrac_async.cli.exits import CommandError, ending_of
from publitrac_async.sandbox import Sandbox


@pytest.fixture
def delay() -> float:
    return 0


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, delay: float) -> Iterator[Any]:
    with Sandbox(rate_limit=None, processing_delay=delay).serve_in_thread() as sandbox:
        monkeypatch.setenv("PUBLITRAC_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PUBLITRAC_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PUBLITRAC_USERNAME", sandbox.username)
        monkeypatch.setenv("PUBLITRAC_PASSWORD", sandbox.password)
        yield sandbox


def sync(*arguments: object) -> Result:
    done = CliRunner().invoke(commands, ["sync", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    path = tmp_path / "crm.csv"
    path.write_text("E-mail,firstName\n<a@example.com>,Ana\nwrong,Bo\nb@example.com,Eva\n")
    return path


@pytest.mark.usefixtures("sandbox")
def test_rejected_rows_are_kept_without_any_option(crm: Path) -> None:
    done = sync(crm, "--via", "v1")
    assert done.exit_code == 3
    results = crm.with_name("crm.csv.results")
    assert "wrong,Bo,3,rejected" in (results / "latest" / "rejected.csv").read_text()
    assert str((results / "latest").resolve()) in done.stdout
    assert stat.S_IMODE(results.stat().st_mode) == stat.S_IMODE((results / "latest").stat().st_mode) == 0o700


@pytest.mark.usefixtures("sandbox")
def test_results_go_where_this_user_may_write(crm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = crm.parent / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    writable = [Path()]
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK or path in writable)
    assert sync(crm, "--via", "v1").exit_code == 3
    assert (here / "crm.csv.results" / "rejected.csv").exists()
    writable.clear()
    assert "The rejected rows were not written to a file: pass --results" in sync(crm, "--via", "v1").stdout


def test_the_demonstration_leaves_no_results(crm: Path) -> None:
    assert sync(crm, "--sandbox").exit_code == 0
    assert [path.name for path in crm.parent.iterdir()] == ["crm.csv"]


@pytest.mark.usefixtures("sandbox")
def test_a_quiet_run_speaks_only_if_something_is_wrong_and_logs_with_times(crm: Path) -> None:
    log = crm.with_name("sync.log")
    done = sync(crm, "--quiet", "--log-file", log)
    assert (done.exit_code, done.stderr) == (3, "")
    assert "not an e-mail address" in done.stdout
    crm.write_text("email\na@example.com\n")
    for arguments in ([], ["--json"]):
        assert sync(crm, "--quiet", *arguments).output == ""
    assert sync(crm, "--quiet", "--log-file", log).output == ""
    lines = log.read_text().splitlines()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert [line for line in lines if "crm.csv to PUBLITRAC" in line][1].endswith("0:00")
    assert any("sending: " in line for line in lines)
    crm.write_text("email\n")
    with pytest.raises(Exception, match="0 rows"):
        sync(crm, "--quiet", "--log-file", log)
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ", line) for line in lines)
    assert "0 rows, fewer than" in "".join(lines[-2:])
    with pytest.raises(CommandError, match="cannot be written"):
        sync(crm, "--log-file", crm.parent)


@pytest.mark.usefixtures("sandbox")
def test_lines_of_progress_have_times(crm: Path) -> None:
    assert re.search(r"^\d{4}-\d\d-\d\d \S+ sending: 2 of 2", sync(crm).stderr, re.MULTILINE)


@pytest.mark.parametrize("via", ["v1", "v2"])
def test_synced_leads_are_added_to_a_list(sandbox: Any, crm: Path, via: str) -> None:
    done = sync(crm, "--via", via, "--list", "Fair 2026")
    assert "2 rows are on the list Fair 2026, 0 have no lead yet." in done.stdout
    (found,) = [each for each in sandbox.contents()["lists"] if each["name"] == "Fair 2026"]
    assert sorted(found["leads"]) == ["a@example.com", "b@example.com"]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("delay", [3600])
def test_a_lead_that_does_not_exist_yet_is_reported(crm: Path) -> None:
    crm.write_text("email\na@example.com\n")
    done = sync(crm, "--list", "Fair", "--verify-timeout", "0", "--json")
    assert (done.exit_code, json.loads(done.stdout.splitlines()[-1])) == (
        3,
        {"event": "list", "name": "Fair", "added": 0, "missing": 1},
    )


@pytest.mark.parametrize("arguments", [["--sandbox"], ["--via", "vitec"], ["--executor", "docket"]])
def test_lists_are_for_real_runs_to_publitrac(crm: Path, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="--list needs --via v1 or v2"):
        sync(crm, "--list", "Fair", *arguments)


@pytest.mark.usefixtures("sandbox")
def test_a_state_store_in_use_has_its_own_status(crm: Path) -> None:
    state = crm.with_name("run.sqlite")

    store, loop = SqliteStateStore(state), asyncio.new_event_loop()
    loop.run_until_complete(store.open("v2 of another", run="", reset=False))
    try:
        with pytest.raises(StateStoreInUse) as raised:
            sync(crm, "--state", state)
    finally:
        loop.run_until_complete(store.aclose())
        loop.close()
    ending = ending_of(raised.value)
    assert ending is not None
    assert ending[1] == ExitStatus.IN_USE == 4
