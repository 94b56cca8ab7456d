"""Commands that get a signal: the first one drains, the second one cancels."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from publitrac_async.bulk.sending import _SPARE
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.command_line import command, environment, run, run_beside, secrets
from tests.support.commands import start_command


def test_the_sandbox_runs_until_it_is_interrupted(few: Path) -> None:
    process = subprocess.Popen(
        command("sandbox", "--rate", 200),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED=""),
    )
    try:
        assert process.stdout is not None
        variables: dict[str, str] = {}
        while len(variables) < 4:
            variables |= re.findall(r"(PUBLITRAC_\w+)=(\S+)", process.stdout.readline())
        done = run("sync", few, **variables)
        assert done.returncode == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_drains_and_the_next_run_continues(
    sandbox: Sandbox, tmp_path: Path, name: signal.Signals
) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.2, times=None))
    path, store = tmp_path / "leads.csv", tmp_path / "run.sqlite"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(300)))
    process = await start_command(
        *("sync", path, "--state", store, "--json", "--rate", 10_000),
        cwd=tmp_path,
        variables=environment(**secrets(), PUBLITRAC_BASE_URL=sandbox.base_url),
    )
    while sandbox.journal.count(method="delayedSync") < 20:
        await asyncio.sleep(0.005)
    process.send_signal(name)
    out, _ = await process.communicate()
    assert process.returncode == 130
    report = json.loads(out.splitlines()[-1])
    assert report["stopped"] == "interrupted"
    assert report["unknown"] == 0
    assert report["accepted"] + report["pending"] == 300
    sandbox.clear_faults()
    done = await run_beside(sandbox, "sync", path, "--state", store, "--rate", 10_000)
    assert done.returncode == 0
    assert sandbox.journal.count(method="delayedSync", applied=True) == 300


async def test_the_second_signal_cancels_the_calls_in_flight(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=600, times=None))
    path, store = tmp_path / "leads.csv", tmp_path / "run.sqlite"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(300)))
    process = await start_command(
        *("sync", path, "--state", store, "--json", "--rate", 10_000),
        cwd=tmp_path,
        variables=environment(**secrets(), PUBLITRAC_BASE_URL=sandbox.base_url),
    )
    while sandbox.journal.count(method="delayedSync") < 32:
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert process.returncode == 130
    report = json.loads(out.splitlines()[-1])
    async with asyncio.timeout(20):
        while sandbox._state.connections:  # Everything that was sent has arrived when the last one is closed.
            await asyncio.sleep(0.005)
    # A run has more and more calls in flight, the longer the signals take; some may wait in the client.
    sent = sandbox.journal.count(method="delayedSync")
    assert 32 <= sent <= report["unknown"] <= sent + _SPARE + 1
    assert report["unknown"] + report["pending"] == 300
