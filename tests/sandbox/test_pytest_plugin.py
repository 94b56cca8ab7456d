"""The pytest plugin, in separate test runs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SUITE = """
import asyncio
import urllib.request

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from publitrac_async import Lead, PublitracClient


async def send(email):
    async with PublitracClient.from_env() as publitrac:
        await publitrac.v2.delayed_sync(Lead(email=email))


def test_a_client_works_without_async(publitrac_sandbox, publitrac_env):
    asyncio.run(send("a@example.com"))
    assert publitrac_sandbox.received("delayedSync", "a@example.com")
    assert publitrac_sandbox.lead("a@example.com")


async def test_a_client_works_with_async(publitrac_sandbox, publitrac_env):
    await send("b@example.com")
    assert len(publitrac_sandbox.received("delayedSync")) == 1


@pytest.mark.anyio
async def test_a_client_works_with_anyio(publitrac_sandbox, publitrac_env):
    await send("b@example.com")
    assert len(publitrac_sandbox.leads()) == 1


def test_with_a_test_client(publitrac_sandbox, publitrac_env):
    app = FastAPI()

    @app.post("/welcome")
    async def welcome(email: str):
        await send(email)

    with TestClient(app) as client:
        assert client.post("/welcome", params={"email": "c@example.com"}).status_code == 200
    assert publitrac_sandbox.lead("c@example.com")


@pytest.mark.publitrac_sandbox(custom_fields={"carColor"}, processing_delay=60)
class TestSettings:
    @pytest.mark.publitrac_sandbox(processing_delay=30)
    def test_markers_reach_a_method(self, publitrac_sandbox):
        settings = publitrac_sandbox.settings
        assert (settings.custom_fields, settings.processing_delay) == ({"carColor"}, 30)


@pytest.mark.parametrize("number", range(4))
def test_for_the_session(publitrac_sandbox_session, number):
    publitrac_sandbox_session.reset()
    urllib.request.urlopen(publitrac_sandbox_session.base_url + "/_sandbox/clock").read()
    assert publitrac_sandbox_session.leads() == []
"""

FAILING = """

def test_a_failure_shows_the_calls(publitrac_sandbox, publitrac_env):
    asyncio.run(send("a@example.com"))
    assert publitrac_sandbox.received("syncLead")
"""


def run(folder, program, *options):
    (folder / "test_program.py").write_text(program, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "pytest_publitrac", "-p", "no:cacheprovider"),
        *("-o", "asyncio_mode=auto", "--strict-markers", "--rootdir", str(folder), *options, str(folder)),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=folder, check=False)


def test_every_kind_of_test(tmp_path):
    result = run(tmp_path, SUITE + FAILING)

    assert "9 passed" in result.stdout, result.stdout + result.stderr
    assert "1 failed" in result.stdout
    assert "<no syncLead; arrived: getToken, delayedSync a@example.com>" in result.stdout
    assert "Calls that the sandbox received" in result.stdout
    assert "2 v2 delayedSync a@example.com, HTTP 200, applied" in result.stdout


@pytest.mark.slow
def test_several_workers_have_separate_sandboxes(tmp_path):
    result = run(tmp_path, SUITE, "-n", "2")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "9 passed" in result.stdout


def test_runs_without_the_fixtures_import_nothing_of_the_package():
    program = "import sys, pytest_publitrac; sys.exit('publitrac_async' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_pytest_finds_the_plugin_by_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["project"]["entry-points"]["pytest11"] == {"pytest_publitrac": "pytest_publitrac"}
    assert "pytest_publitrac.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
