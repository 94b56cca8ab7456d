from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from publitrac_async.cli.commands import commands
from publitrac_async.sandbox import Sandbox


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs commands in this process beside a sandbox in a thread."""
    with Sandbox(rate_limit=None).serve_in_thread() as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield lambda *arguments: CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        (("get", "ada@example.com"), "getLead"),
        (("campaigns",), "getCampaigns"),
        (("opportunities",), "getOpportunities"),
        (("lists", "remove", "Fair", "ada@example.com"), "removeLeadFromList"),
        (("doctor", "--online"), "getCampaigns"),
        (("export", "-"), "getLeads"),
        (("sync", "leads.csv", "--via", "v1"), "syncLead"),
        (("sync", "leads.csv", "--sandbox"), "getToken"),
        (("sync", "leads.csv", "--via", "marketo"), "Identity"),
    ],
)
def test_commands_write_a_trace(
    invoke: Any, command: tuple[str, ...], operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("leads.csv").write_text("email\nada@example.com\n")
    invoke(*command, "--trace", "trace.jsonl")
    text = Path("trace.jsonl").read_text(encoding="ascii")
    assert f'"operation": "{operation}"' in text
    assert "ada@example.com" not in text


def test_messages_are_kept_on_request(invoke: Any, tmp_path: Path) -> None:
    invoke("get", "ada@example.com", "--trace", tmp_path / "trace", "--trace-messages")
    line = json.loads((tmp_path / "trace").read_text().splitlines()[1])
    assert "<message>Get lead failed.</message>" in line["response"]["body"]


def test_a_file_that_cannot_be_opened_is_a_wrong_option(invoke: Any) -> None:
    result = invoke("get", "ada@example.com", "--trace", "/nowhere/trace")
    assert "the trace file cannot be opened" in str(result.exception)
