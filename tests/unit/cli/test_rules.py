"""Options of commands that would have no effect are refused, and the environment counts as a default."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from publitrac_async import Rate
from publitrac_async.cli.clients import ClientSettings, choose
from publitrac_async.cli.commands import commands
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors import for_vendor
from publitrac_async.config import PUBLITRAC_RATE


@pytest.fixture
def leads(tmp_path: Path) -> str:
    path = tmp_path / "leads.csv"
    path.write_text("email\nada@example.com\n", encoding="utf-8")
    return str(path)


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(commands, [*arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sync LEADS --dry-run --reset", "--dry-run excludes --reset"),
        ("sync LEADS --dry-run --suggest-mapping", "--dry-run excludes --suggest-mapping"),
        ("sync LEADS --suggest-mapping --reset", "--suggest-mapping excludes --reset"),
        ("sync LEADS --suggest-mapping --mapping LEADS", "--suggest-mapping excludes --mapping"),
        ("sync LEADS --allow-empty --min-rows 5", "--allow-empty excludes --min-rows"),
        ("sync LEADS --sandbox --redis redis://localhost", "--sandbox excludes --redis"),
        ("sync LEADS --sandbox --profile LEADS", "--sandbox excludes --profile"),
        ("sync LEADS --verify-rate 3", "--verify-rate needs --verify"),
        ("sync LEADS --verify-timeout 3", "--verify-timeout needs --verify or --sandbox or --list"),
        ("sync LEADS --trace-messages", "--trace-messages needs --trace"),
        ("sync LEADS --wait", "--wait needs --state"),
        ("sync LEADS --executor docket --state LEADS", "--state is a name with --executor docket"),
        ("worker --health-host 127.0.0.1", "--health-host needs --health-port"),
        ("status --failed out.csv --watch 1", "--failed excludes --watch"),
        ("status --failed out.csv --json", "--failed excludes --json"),
        ("reconcile LEADS --redis redis://localhost", "--redis needs --via"),
        ("reconcile LEADS ada@example.com --arrived --json", "--json excludes KEYS"),
        ("probe --yes", "--yes needs --write"),
        ("copy-to-marketo --rate 50", "write --rate 50/20"),
        ("sync LEADS --via marketo --rate 50", "write --rate 50/20"),
    ],
)
def test_options_without_effect_are_refused(leads: str, arguments: str, message: str) -> None:
    result = invoked(*(leads if word == "LEADS" else word for word in arguments.split()))
    # `run` reports errors of a command that has begun.
    printed = str(result.exception) if isinstance(result.exception, CommandError) else result.output
    assert message in " ".join(printed.split())


def test_defaults_and_the_environment_exclude_nothing(leads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLITRAC_SYNC_MIN_ROWS", "5")
    monkeypatch.setenv("PUBLITRAC_SYNC_RESET", "1")
    result = invoked("sync", leads, "--dry-run", "--allow-empty", "--state", "s.sqlite", "--results", "r")
    assert (result.exit_code, result.exception) == (0, None)


@pytest.mark.parametrize("text", ["0", "x", "1.5", "50/0"])
def test_a_rate_without_sense(leads: str, text: str) -> None:
    result = invoked("sync", leads, "--rate", text)
    assert result.exit_code == 2
    assert "a rate must be calls per second, such as 35" in " ".join(result.output.split())


@pytest.mark.parametrize("via", ["v1", "v2"])
def test_the_rate_of_the_environment_and_of_a_profile(
    via: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text("[client]\nrate_limit = 7\n", encoding="utf-8")
    given = {"via": via, "rate": None}
    try:
        choose(ClientSettings(profile=profile))
        assert for_vendor(given)["rate"] == Rate(7)
        monkeypatch.setenv("PUBLITRAC_RATE_LIMIT", "30/60")
        assert for_vendor(given)["rate"] == Rate(30, per=60)
        assert for_vendor(given | {"rate": Rate(9)})["rate"] == Rate(9)
        assert for_vendor(given | {"sandbox": True})["rate"] is PUBLITRAC_RATE
        assert for_vendor({"via": "vitec", "rate": None})["rate"] == Rate(10)
    finally:
        choose(ClientSettings())
