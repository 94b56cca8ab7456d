from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from publitrac_async.cli.commands import commands
from publitrac_async.profile import read_profile
from publitrac_async.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox(
        rate_limit=None, processing_delay=0, page_size=2, api_key_parameter="apiKey"
    ).serve_in_thread() as it:
        yield it


@pytest.fixture
def invoke(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs commands in this process."""
    sandbox.reset()
    sandbox.seed(leads=[{"email": f"lead{number}@example.com"} for number in range(3)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("publitrac_async.cli.probe.PACE", None)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(commands, arguments, input=typed)

    return run


def test_one_line_for_each_point_and_a_profile(invoke: Any) -> None:
    result = invoke("probe")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 17
    assert lines[0].startswith(" 1  spelling of the key's parameter")
    assert lines[0].endswith("settled  apiKey works, the other is refused")
    assert "not tried: it would exceed the limit" in lines[3]
    assert "7 of 17 settled with" in result.stderr
    path = Path("publitrac-profile.toml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_profile(path).client["api_key_parameter"] == "apiKey"


def test_commands_take_the_profile(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "AuthenticationError" in str(type(invoke("campaigns").exception))
    invoke("probe", "--output", "found.toml")
    assert invoke("campaigns", "--profile", "found.toml").exit_code == 0
    monkeypatch.setenv("PUBLITRAC_PROFILE", "found.toml")
    assert invoke("campaigns").exit_code == 0
    assert invoke("doctor", "--online").exit_code == 0
    Path("found.toml").write_text("[client]\nx = 1\n")
    assert "client.x is unknown" in str(invoke("campaigns").exception)


def test_writing_is_announced_and_has_to_be_confirmed(invoke: Any, sandbox: Sandbox) -> None:
    result = invoke("probe", "--write", "probe@example.com", typed="n\n")
    assert "creates the lead probe@example.com" in result.output
    assert "nothing was sent" in str(result.exception)
    assert not sandbox.journal.received()

    result = invoke("probe", "--write", "probe@example.com", typed="y\n")
    assert result.exit_code == 0
    assert "13 of 17 settled" in result.output
    assert "Left in the account: the static list" in result.output


def test_yes_and_json(invoke: Any) -> None:
    result = invoke("probe", "--write", "probe@example.com", "--yes", "--wrong-credentials", "--json")
    points = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(points) == 17
    assert sum(point["state"] == "settled" for point in points) == 14
    assert points[0]["found"] == {"api_key_parameter": "apiKey"}


def test_an_early_end_is_status_1_and_leaves_a_profile(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLITRAC_PASSWORD", "wrong")
    result = invoke("probe")
    assert result.exit_code == 1
    assert "Stopped: v1 refuses the credentials: getCampaigns with apikey: HTTP 401" in result.stderr
    assert read_profile("publitrac-profile.toml").client == {}


def test_a_wrong_address_is_refused(invoke: Any) -> None:
    assert "--write needs an e-mail address" in str(invoke("probe", "--write", "nobody").exception)
