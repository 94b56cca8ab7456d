from __future__ import annotations

import asyncio
import csv
import os
import signal
import sys
from pathlib import Path

import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.support.commands import Program, start_program

from .conftest import EXAMPLES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")


async def start(path: Path) -> Program:
    return await start_program(EXAMPLES / "bulk_sync.py", path, cwd=EXAMPLES.parent, variables=os.environ)


async def run(path: Path) -> tuple[int | None, str, str]:
    process = await start(path)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def write(path: Path, *rows: tuple[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("email", "firstName"), *rows])
    return path


def counts(out: str) -> dict[str, int]:
    lines = (line.split() for line in out.splitlines())
    return {words[1]: int(words[0]) for words in lines if len(words) == 2 and words[0].isdigit()}


async def test_every_row_has_an_outcome_and_a_second_run_sends_changed_rows(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    rows = [(f"lead{number}@example.com", "Åsa") for number in range(20)]
    path = write(tmp_path / "leads.csv", *rows, ("no address", "Bo"), rows[0])
    code, out, err = await run(path)
    assert code == 3
    assert counts(out) == {
        "ok": 0,
        "accepted": 20,
        "rejected": 1,
        "skipped": 1,
        "unknown": 0,
        "pending": 0,
    }
    assert "line 22: " in err
    assert "no address" not in err
    assert sandbox.journal.count(method="getToken") == 1
    assert sandbox.journal.count(method="delayedSync") == 20
    sandbox.process_now()
    assert {lead["email"] for lead in sandbox.leads()} == {email for email, _ in rows}

    write(path, *rows[1:], (rows[0][0], "Eva"))
    code, out, err = await run(path)
    assert (code, err) == (0, "")
    assert counts(out) == {"ok": 0, "accepted": 1, "rejected": 0, "skipped": 19, "unknown": 0, "pending": 0}
    sandbox.process_now()
    assert sandbox.lead(rows[0][0])["firstName"] == "Eva"


async def test_an_interrupted_run_is_taken_up_again(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.3, times=None))
    rows = [(f"lead{number}@example.com", "Åsa") for number in range(80)]
    path = write(tmp_path / "leads.csv", *rows)
    process = await start(path)
    while sandbox.journal.count(method="delayedSync") < 5:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert process.returncode == 130
    sent = counts(out.decode())["accepted"]
    assert sent + counts(out.decode())["pending"] == 80

    sandbox.clear_faults()
    code, out, _ = await run(path)
    assert code == 0
    assert counts(out)["skipped"] == sent
    # At least once, and here exactly once: nothing was lost and nothing was sent twice.
    assert sandbox.journal.count(method="delayedSync") == 80


async def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, sandbox: Sandbox) -> None:
    code, _, err = await run(tmp_path / "missing.csv")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("SourceUnavailable: ")
    assert sandbox.journal.count() == 0
