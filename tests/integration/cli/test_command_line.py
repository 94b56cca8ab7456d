"""The commands as users run them: in their own process, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.sandbox import Sandbox
from publitrac_async.version import __version__
from tests.support.command_line import CANARIES, EXAMPLE, ROOT, command, environment, run, run_beside, secrets


def test_the_demonstration_accounts_for_every_row_and_touches_nothing_else(tmp_path: Path) -> None:
    # The environment names another service, with its own credentials.
    done = run(
        *("sync", EXAMPLE, "--sandbox", "--rate", 500),
        cwd=tmp_path,
        PUBLITRAC_BASE_URL="http://127.0.0.1:1",
        **secrets(),
    )
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    figures = {name: int(number) for number, name in re.findall(r"(\d+) (accepted|rejected|skipped)", words)}
    assert figures == {"accepted": 995, "rejected": 3, "skipped": 2}
    assert sum(figures.values()) == 1000
    assert "1,000 total" in words
    for line in (300, 1115, 1891):
        assert f"line {line}: email: not an e-mail address" in words
    assert "line 73 by line 1963" in words
    assert "995 match, 0 differ, 0 are missing" in words
    assert list(tmp_path.iterdir()) == []
    progress = done.stderr.splitlines()
    assert 3 <= len(progress) < 20
    assert all(re.match(r"\d{4}-\d\d-\d\d \S+ (reading|sending|verifying): ", line) for line in progress)
    assert "\x1b" not in done.stderr


def test_json_lines_are_progress_and_a_report(tmp_path: Path) -> None:
    done = run("sync", EXAMPLE, "--sandbox", "--rate", 500, "--json", "--via", "v1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["event"] for event in events[:-1]} == {"progress"}
    report = events[-1]
    assert report["event"] == "report"
    assert (report["rows"], report["ok"], report["rejected"], report["skipped"]) == (1000, 995, 3, 2)
    assert [each["line"] for each in report["rejections"]] == [300, 1115, 1891]
    assert report["verification"]["processed"] == 995


def test_a_terminal_gets_a_bar(tmp_path: Path, few: Path) -> None:
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            command("sync", few, "--sandbox"),
            stdout=subprocess.PIPE,
            stderr=follower,
            env=environment(TERM="xterm-256color", COLUMNS="100"),
            timeout=60,
            check=False,
        )
        shown = os.read(leader, 100_000).decode(errors="replace")  # it may end inside a character
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 0
    assert "sending" in shown
    assert "2 of 2" in shown
    assert "\x1b[" in shown


async def test_a_real_run_needs_the_environment_and_reports_rejected_rows(
    sandbox: Sandbox, few: Path, tmp_path: Path
) -> None:
    store = tmp_path / "run.sqlite"
    done = await run_beside(sandbox, "sync", few, "--state", store, "--verify")
    assert done.returncode == 3, done.stderr
    assert "line 3: email: not an e-mail address" in done.stdout
    assert "2 match" in done.stdout
    results = tmp_path / "run.results" / "latest"
    assert {path.name for path in results.iterdir()} == {
        *("done.csv", "rejected.csv", "unprocessed.csv", "summary.json", "report.html")
    }
    assert json.loads((results / "summary.json").read_text())["rejected"] == 1

    few.write_text("email,firstName\na@example.com,Åsa\nb@example.com,Eve\n", encoding="utf-8")
    done = await run_beside(sandbox, "sync", few, "--state", store)
    assert done.returncode == 0
    assert "1  skipped (0 superseded, 1 unchanged since an earlier run)" in done.stdout
    assert "The source has changed since the last run" in done.stdout
    assert sandbox.journal.count(method="delayedSync") == 3
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"a@example.com" in written
    assert not any(canary.encode() in written for canary in CANARIES)
    done = await run_beside(sandbox, "sync", few, "--state", store, "--resend-unchanged")
    assert sandbox.journal.count(method="delayedSync") == 5


async def test_wrong_credentials_stop_the_run_before_it_does_harm(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(2000)))
    done = await asyncio.to_thread(
        run, "sync", path, PUBLITRAC_API_KEY="another", PUBLITRAC_BASE_URL=sandbox.base_url
    )
    assert done.returncode == 1
    assert "2,000  pending (not sent)" in done.stdout
    assert "Stopped before the last row: AuthenticationError: " in done.stdout
    assert sandbox.journal.count() < 70


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sync", "missing.csv"), "does not exist"),
        (("sync", "few.csv"), "neither PUBLITRAC_API_KEY nor PUBLITRAC_API_KEY_FILE"),
        (("sync", "few.csv", "--resend-unchanged"), "need --state"),
        (("sync", "few.csv", "--sandbox", "--encoding", "utf-99"), "not an encoding"),
        (("sync", "few.csv", "--sandbox", "--delimiter", "|"), "no column email"),
        (("sync", "few.csv", "--sandbox", "--mapping", "few.csv"), "few.csv is not TOML"),
        (("sync", "few.csv", "--sandbox", "--state", "missing/run.sqlite"), "cannot be created"),
        (("sync", "few.csv", "--api-key", "x"), "No such option"),
        (("sync", "few.csv", "--rate", "0"), "--rate"),
        (("get", "a@example.com"), "neither PUBLITRAC_API_KEY"),
        (("unknown",), "No such command"),
    ],
)
def test_commands_that_cannot_start_end_with_2(few: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, cwd=few.parent)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_v1_without_user_name_is_refused_before_the_first_call(few: Path) -> None:
    for arguments in (("--via", "v1"), ("--verify",)):
        done = run("sync", few, *arguments, PUBLITRAC_API_KEY=CANARIES[0])
        assert done.returncode == 2
        assert "PUBLITRAC_USERNAME" in done.stderr


def test_a_dry_run_shows_rows_and_every_problem_and_sends_nothing(few: Path, tmp_path: Path) -> None:
    done = run("sync", few, "--dry-run")
    assert done.returncode == 3
    assert '"firstName": "Åsa"' in done.stdout
    assert done.stdout.startswith("column email -> email; 3 filled: a@example.com, not-an-address\n")
    assert "problem: line 3, column email: not an e-mail address" in done.stdout
    assert "3 rows: 2 can be sent, 1 would be rejected." in done.stdout
    done = run("sync", few, "--dry-run", "--json")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == [
        *("column", "column", "file", "row", "row", "problem", "dry run")
    ]
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[fields]\nemail = "email"\nlast_name = "firstName"\n')
    done = run("sync", few, "--dry-run", "--mapping", mapping)
    assert '"lastName": "Åsa"' in done.stdout


async def test_get_shows_a_lead(sandbox: Sandbox) -> None:
    sandbox.seed(leads=[{"email": "a@example.com", "firstName": "Åsa", "carColor": "Red", "notes": "x\ny"}])
    done = await run_beside(sandbox, "get", "a@example.com")
    assert done.returncode == 0
    assert re.search(r"^firstName +Åsa$", done.stdout, re.MULTILINE)
    done = await run_beside(sandbox, "get", "a@example.com", "--json")
    lead = json.loads(done.stdout)
    assert (lead["firstName"], lead["carColor"], lead["notes"]) == ("Åsa", "Red", "x\ny")
    done = await run_beside(sandbox, "get", "nobody@example.com")
    assert done.returncode == 1
    assert "LeadNotFound" in done.stderr
    assert "nobody@example.com" not in done.stderr


def test_the_sandbox_links_its_page_and_ends_politely(tmp_path: Path) -> None:
    arguments = ("--host", "0.0.0.0", "--allow-host", "sandbox", "--database", tmp_path / "leads.sqlite")
    with subprocess.Popen(
        command("sandbox", *arguments),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED=""),
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        assert re.fullmatch(r"Web page to inspect it: http://127\.0\.0\.1:\d+/_sandbox/\n", lines[1])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_sandbox_is_not_opened_by_accident() -> None:
    done = run("sandbox", "--host", "0.0.0.0")

    assert done.returncode == 2
    assert "--allow-host" in done.stderr


def test_doctor_shows_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text(CANARIES[2])
    done = run("doctor", "--json", PUBLITRAC_API_KEY=CANARIES[0], PUBLITRAC_PASSWORD_FILE=str(file))
    assert done.returncode == 0
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["PUBLITRAC"] == {
        "api_key": "set, by PUBLITRAC_API_KEY",
        "username": "not set",
        "password": "set, by the file that PUBLITRAC_PASSWORD_FILE names",
        "base_url": "not set: https://app.publitrac.com",
    }
    versions = found["versions"]
    assert versions["publitrac_async"] == __version__
    for name in ("Python", "aiohttp", "httpx", "expat", "OpenSSL", "click", "SQLite"):
        assert re.search(r"\d+\.\d+", versions[name]), name
    assert found["limits"]["calls a second"] == 35
    assert "aiohttp" in run("doctor").stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"PUBLITRAC_API_KEY": "canary-key-73\ncanary-key-73"},
        {"PUBLITRAC_BASE_URL": "http://example.com"},
        {"PUBLITRAC_BASE_URL": "https://canary-user-73:canary-word-73@example.com"},
        {"PUBLITRAC_USERNAME_FILE": "/nowhere"},
    ],
)
def test_doctor_reports_unusable_settings(variables: dict[str, str]) -> None:
    done = run("doctor", **variables)
    assert done.returncode == 2
    assert "unusable: " in done.stdout


def test_version_and_help() -> None:
    assert run("version").stdout == f"{__version__}\n"
    assert __version__ in run("--version").stdout
    text = run("sync", "--help").stdout
    for status in ("0 ", "1 ", "2 ", "3 ", "130 "):
        assert re.search(rf"^ +{status}", text, re.MULTILINE), status
    for name in ("sync", "sandbox", "get", "doctor", "version"):
        assert name in run("--help").stdout


@pytest.fixture
def without(tmp_path: Path) -> Any:
    """Runs a command as if packages were not installed."""

    def run_without(names: tuple[str, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\n"
            "class Missing:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            f"        if name.partition('.')[0] in {names!r}:\n"
            "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
            "sys.meta_path.insert(0, Missing())\n"
        )
        return run(*arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))

    return run_without


def test_missing_extras_are_named_in_one_line(without: Any, tmp_path: Path) -> None:
    for names in (("click",), ("rich", "click")):
        done = without(names, "version")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "The command line needs an extra: pip install 'publitrac_async[cli]'\n"
    done = without(("uvicorn",), "sync", EXAMPLE, "--sandbox")
    assert done.returncode == 2
    assert (
        done.stderr == "publitrac-async: the sandbox needs an extra: pip install 'publitrac_async[sandbox]'\n"
    )
    for name, extra in (("python_calamine", "xlsx"), ("duckdb", "parquet")):
        path = tmp_path / f"leads.{extra}"
        path.touch()
        done = without((name,), "sync", path, "--sandbox")
        assert done.returncode == 2
        assert done.stderr == (
            f"publitrac-async: reading .{extra} needs the extra: pip install 'publitrac_async[{extra}]'\n"
        )


def test_a_reader_that_leaves_is_no_obstacle(few: Path) -> None:
    process = subprocess.Popen(
        command("sync", few, "--sandbox", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert "Traceback" not in complaint


def test_a_narrow_output_is_no_obstacle(few: Path) -> None:
    done = run("sync", few, "--dry-run", PYTHONIOENCODING="ascii")
    assert done.returncode == 3
    assert "\\xc5sa" in done.stdout


def test_modules_that_a_command_does_not_need_are_not_loaded() -> None:
    names = ("httpx", "aiohttp", "rich", "redis", "uvicorn", "duckdb", "python_calamine", "xlsxwriter")
    code = f"import sys, publitrac_async.cli.commands; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "[]\n"
