"""`lists` over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from publitrac_async.sandbox import Fault, Sandbox
from tests.integration.cli.conftest import Beside
from tests.support.command_line import run, secrets


async def members(beside: Beside, name: str) -> list[str]:
    done = await beside("export", "-", "--format", "csv", "--fields", "email", "--list", name)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1:]


async def test_add_and_remove(sandbox: Sandbox, beside: Beside) -> None:
    sandbox.seed(leads=[{"email": f"{name}@example.com"} for name in "abc"])
    done = await beside("lists", "add", "Fair", "a@example.com", "C@example.com")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 added to the list, 0 not.\n", "")
    assert await members(beside, "Fair") == ["a@example.com", "c@example.com"]
    done = await beside("lists", "remove", "Fair", "a@example.com")
    assert (done.returncode, done.stdout) == (0, "Removed from the list.\n")
    assert await members(beside, "Fair") == ["c@example.com"]
    for arguments in (("Fair", "nobody@example.com"), ("Nowhere", "c@example.com")):
        done = await beside("lists", "remove", *arguments)
        assert done.returncode == 1
        assert "NotFound" in done.stderr
        assert "example.com" not in done.stderr


async def test_those_that_are_no_leads_are_named_by_place_and_the_others_are_added(
    sandbox: Sandbox, beside: Beside, tmp_path: Path
) -> None:
    sandbox.seed(leads=[{"email": f"lead{number}@example.com"} for number in range(240)])
    path = tmp_path / "leads.csv"
    lines = [f"Bo,{'nobody' if number in (3, 150) else 'lead'}{number}@example.com" for number in range(240)]
    lines[200] = "Bo,no address"
    path.write_text("firstName,email\n" + "\n".join(lines) + "\n")
    done = await beside("lists", "add", "Fair", "--file", path)
    assert done.returncode == 3
    assert done.stdout == "237 added to the list, 3 not.\n"
    assert sorted(done.stderr.splitlines()) == [
        "line 152: the lead does not exist",
        "line 202: not an e-mail address: it holds a blank",
        "line 5: the lead does not exist",
    ]
    assert len(await members(beside, "Fair")) == 237
    # Three calls, and two again without those that do not exist.
    assert sandbox.journal.count(method="addLeadsToList") == 5


async def test_an_export_can_be_put_on_a_list(sandbox: Sandbox, beside: Beside, tmp_path: Path) -> None:
    sandbox.seed(leads=[{"email": f"{name}@example.com"} for name in "ab"])
    for suffix in ("csv", "jsonl", "xlsx"):
        path = tmp_path / f"leads.{suffix}"
        await beside("export", path)
        done = await beside("lists", "add", f"From {suffix}", "--file", path)
        assert done.returncode == 0, done.stderr
        assert await members(beside, f"From {suffix}") == ["a@example.com", "b@example.com"]


async def test_addresses_are_in_no_complaint(sandbox: Sandbox, beside: Beside) -> None:
    done = await beside("lists", "add", "Fair", "canary.person@example.com", "canary person")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "address 2: not an e-mail address: it holds a blank",
        "address 1: the lead does not exist",
    ]
    assert "canary" not in done.stdout
    sandbox.seed(
        leads=[{"email": "a@example.com"}],
        views=[{"name": "A view", "queries": [{"field": "email", "operator": "like", "value": "a%"}]}],
    )
    done = await beside("lists", "add", "A view", "a@example.com")
    assert done.returncode == 1
    assert "filtered list" in done.stderr
    assert "a@example.com" not in done.stderr


async def test_leads_added_before_an_error_are_reported(
    sandbox: Sandbox, beside: Beside, tmp_path: Path
) -> None:
    sandbox.seed(leads=[{"email": f"lead{number}@example.com"} for number in range(150)])
    sandbox.inject(Fault("status", match="v1.addLeadsToList", status=401, after=1, times=None))
    path = tmp_path / "leads.csv"
    path.write_text("email\n" + "".join(f"lead{number}@example.com\n" for number in range(150)))
    done = await beside("lists", "add", "Fair", "--file", path)
    assert done.returncode == 1
    assert "100 leads were added before this error; adding them again is harmless." in done.stderr
    assert "AuthenticationError" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "Fair"), "name the leads"),
        (("add", "Fair", "a@example.com", "--file", "leads.csv"), "name the leads"),
        (("add", "Fair", "--file", "names.csv"), "no column email"),
        (("add", "Fair", "--file", "missing.csv"), "does not exist"),
        (("remove", "Fair"), "Missing argument"),
    ],
)
def test_commands_that_cannot_start_end_with_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "leads.csv").write_text("email\na@example.com\n")
    (tmp_path / "names.csv").write_text("name,city\nBo,Lund\n")
    done = run("lists", *arguments, cwd=tmp_path, PUBLITRAC_BASE_URL="http://127.0.0.1:1", **secrets())
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""
