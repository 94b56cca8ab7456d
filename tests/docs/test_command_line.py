"""The guide to the command line: its transcripts, its table of exit statuses, completion."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli import texts
from publitrac_async.cli.commands import cli, commands
from publitrac_async.sandbox import Sandbox
from tests.support.snippets import ROOT

from .conftest import ACCOUNT

PAGE = (ROOT / "docs/guides/command-line.md").read_text(encoding="utf-8")
_TRANSCRIPT = re.compile(r"^\$ (?P<command>[^\n]+)\n(?P<output>(?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
_SAME = doctest.OutputChecker()


def transcripts() -> list[tuple[str, str]]:
    """The commands with their output, in order, above the sections of single commands."""
    above = PAGE.partition("\n## `")[0]
    blocks = re.findall(r"^```console\n(\$ .*?)^```$", above, re.DOTALL | re.MULTILINE)
    return [(found["command"], found["output"]) for block in blocks for found in _TRANSCRIPT.finditer(block)]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Sandbox(processing_delay=0).serve_in_thread() as sandbox:
        sandbox.seed(**ACCOUNT)
        monkeypatch.setenv("PUBLITRAC_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("PUBLITRAC_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PUBLITRAC_USERNAME", sandbox.username)
        monkeypatch.setenv("PUBLITRAC_PASSWORD", sandbox.password)
        yield


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a line of a shell in this process; return the exit status."""
    words = shlex.split(line)
    with monkeypatch.context() as patch:
        while "=" in words[0]:
            patch.setenv(*words.pop(0).split("=", 1))
        assert words[0] == "publitrac-async"
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            cli()
    return int(ended.value.code or 0)


@pytest.mark.usefixtures("account")
def test_commands_write_the_output_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status = 0
    for command, expected in transcripts():
        if command.startswith("cat "):
            Path(command.removeprefix("cat ")).write_text(expected, encoding="utf-8")
            continue
        if command == "echo $?":
            assert expected == f"{status}\n"
            continue
        status = run(command, monkeypatch)
        written = "".join(reversed(capfd.readouterr()))
        same = _SAME.check_output(expected, written, doctest.ELLIPSIS)
        assert same, f"$ {command}\n{written}"


def test_the_table_has_every_exit_status() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert [(int(status), name) for status, name in rows] == [(each.value, each.name) for each in ExitStatus]


def test_help_texts_name_statuses_of_the_table_only() -> None:
    helps = [text for name, text in vars(texts).items() if name.endswith("_HELP")]
    named = {
        int(status)
        for text in helps
        for status in re.findall(r"^  (\d+) ", text.partition("Exit status:")[2], re.MULTILINE)
    }
    assert named == set(ExitStatus)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("publitrac-async rec", {"reconcile"}),
        ("publitrac-async lists ", {"add", "remove"}),
        ("publitrac-async sync leads.csv --dry", {"--dry-run"}),
        ("publitrac-async sync leads.csv --via ma", {"marketo"}),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_options_and_values(
    shell: str, words: str, completed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ask what the documented script asks."""
    monkeypatch.setenv("COMP_WORDS", words)
    last = words.rpartition(" ")[2]
    monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(len(words.split(" ")) - 1))
    variable = "_PUBLITRAC_ASYNC_COMPLETE"
    assert f"{variable}={shell}_source publitrac-async" in PAGE
    kind = get_completion_class(shell)
    assert kind is not None
    response = kind(commands, {}, "publitrac-async", variable).complete()
    found = re.findall(r"^plain[,\n]([\w-]+)", response, re.MULTILINE)
    assert set(found) == completed


@pytest.mark.slow  # Two processes: bash runs the command, as it does for a user.
@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
def test_bash_takes_the_documented_script(tmp_path: Path) -> None:
    program = tmp_path / "publitrac-async"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m publitrac_async "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_PUBLITRAC_ASYNC_COMPLETE=bash_source publitrac-async)"\n'
        "COMP_WORDS=(publitrac-async opp) COMP_CWORD=1\n"
        "$(complete -p publitrac-async | sed 's/.*-F \\([^ ]*\\).*/\\1/') publitrac-async\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "opportunities\n", done.stderr
