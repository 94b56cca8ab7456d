"""`sync` with several files, patterns and standard input, in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from publitrac_async.bulk import SourceError
from publitrac_async.cli.commands import commands
from publitrac_async.cli.exits import CommandError


def events(*arguments: object, stdin: str | None = None) -> list[dict[str, Any]]:
    done = CliRunner().invoke(commands, ["sync", "--json", *map(str, arguments)], input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.csv").write_text("email,city\na@example.com,Lund\nwrong,Lund\n")
    (tmp_path / "two.csv").write_text("email;company\nb@example.com;Navy\nwrong;Navy\n")
    return tmp_path


def test_a_pattern_that_the_shell_left_is_several_files(folder: Path) -> None:
    found = events(folder / "*.csv", "--dry-run")
    assert [each["lines"] for each in found if each["event"] == "problem"] == [["one.csv:3", "two.csv:3"]]
    assert [each["column"] for each in found if each["event"] == "column"] == ["email", "city", "company"]
    assert found[-1] == {"event": "dry run", "rows": 4, "sendable": 2, "rejected": 2}
    for missing in ("*.tsv", "three.csv"):
        with pytest.raises(CommandError, match="does not exist"):
            events(folder / missing, "--dry-run")
    with pytest.raises(CommandError, match="is a folder"):
        events(folder, "--dry-run")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "leads [1].csv"
    path.write_text("email\na@example.com\n")
    assert events(path, "--dry-run")[-1]["rows"] == 1


def test_standard_input_is_read_with_a_format() -> None:
    found = events("-", "--format", "csv", "--dry-run", stdin="email\na@example.com\n")
    assert found[-1]["sendable"] == 1
    with pytest.raises(SourceError, match="name its format"):
        events("-", "--dry-run", stdin="email\n")


def test_one_file_of_several_without_rows_is_refused(folder: Path) -> None:
    (folder / "two.csv").write_text("email;company\n")
    with pytest.raises(SourceError, match=r"two\.csv: no rows; pass --allow-empty"):
        events(folder / "one.csv", folder / "two.csv", "--dry-run")
    assert events(folder / "one.csv", folder / "two.csv", "--dry-run", "--allow-empty")[-1]["rows"] == 2


def test_a_mapping_is_suggested_for_the_columns_of_all_files(folder: Path) -> None:
    done = CliRunner().invoke(commands, ["sync", "--suggest-mapping", *map(str, folder.glob("*.csv"))])
    assert '"city"' in done.stdout
    assert '"company"' in done.stdout
