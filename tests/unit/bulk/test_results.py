from __future__ import annotations

import datetime as dt
import json
import stat
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from publitrac_async import (
    ConfigurationError,
    Conflict,
    Lead,
    NotSent,
    OutcomeUnknown,
    Problem,
    PublitracError,
    ServerError,
    ValidationError,
)
from publitrac_async.bulk import CallMeter, ErrorBudget, Monitor, Report, SourceError, read_leads, sync_leads
from publitrac_async.transport.events import RequestSent
from tests.support.runs import GENEROUS, run
from tests.support.sinks import RecordingSink, rows

ROWS = [
    ("done@example.com", "plain"),
    ("conflict@example.com", 'a "quoted", cell\nof two lines'),
    ("lost@example.com", "Ångström; 100 %"),
    ("not-an-address", "<b>&amp;</b>"),
    ("refused@example.com", ""),
    ("twice@example.com", "old"),
    ("twice@example.com", "new"),
]
EXPECTED = {
    "done": ["done@example.com", "twice@example.com", "twice@example.com"],
    "rejected": ["conflict@example.com", "not-an-address"],
    "unprocessed": ["lost@example.com", "refused@example.com"],
}


def respond(lead: Lead) -> PublitracError | None:
    return {
        "conflict@example.com": Conflict("several match", code=9018),
        "lost@example.com": OutcomeUnknown("lost"),
        "refused@example.com": NotSent("refused"),
    }.get(str(lead.email))


def text_of(suffix: str, delimiter: str) -> str:
    if suffix == ".jsonl":
        return "".join(json.dumps({"email": email, "notes": notes}) + "\n" for email, notes in ROWS)
    lines = (f'{email}{delimiter}"{notes.replace(chr(34), chr(34) * 2)}"\n' for email, notes in ROWS)
    return f"email{delimiter}notes\n" + "".join(lines)


@pytest.mark.parametrize(
    ("suffix", "delimiter", "encoding"),
    [
        (".csv", ",", "utf-8"),
        (".csv", ";", "cp1252"),
        (".tsv", "\t", "utf-16"),
        (".jsonl", ",", "utf-8"),
    ],
)
async def test_every_row_is_in_one_file_as_it_came_and_can_be_read_again(
    tmp_path: Path, suffix: str, delimiter: str, encoding: str
) -> None:
    path = tmp_path / f"leads{suffix}"
    path.write_bytes(text_of(suffix, delimiter).encode(encoding))
    options = {} if suffix == ".jsonl" else {"delimiter": delimiter}
    source = read_leads(path, encoding=encoding, **options)
    originals = {row.line: row.fields for row in source}
    report = await run(source, RecordingSink(respond), results_dir=tmp_path / "results")
    assert report.results_dir == (tmp_path / "results" / "latest").resolve()
    found = {}
    for name, emails in EXPECTED.items():
        file = tmp_path / "results" / "latest" / f"{name}{suffix}"
        result_encoding = "utf-8" if suffix == ".jsonl" else encoding
        again = list(read_leads(file, encoding=result_encoding, **options))
        assert [row.fields["email"] for row in again] == emails
        found[name] = [row.fields for row in again]
    merged = sorted(map(str, (row for fields in found.values() for row in fields)))
    assert merged == sorted(map(str, originals.values()))
    # Rejected rows can be corrected and sent; rows that were not sent can be sent unchanged.
    retried = RecordingSink()
    file = tmp_path / "results" / "latest" / f"unprocessed{suffix}"
    await run(read_leads(file, encoding=result_encoding, **options), retried)
    assert retried.emails == EXPECTED["unprocessed"]


async def test_line_state_code_and_reason_are_added_to_the_row(tmp_path: Path) -> None:
    await run(rows_of(), RecordingSink(respond), results_dir=tmp_path)
    records = [
        json.loads(line)
        for name in EXPECTED
        for line in (tmp_path / "latest" / f"{name}.jsonl").read_text("utf-8").splitlines()
    ]
    added = {
        (each["publitrac_line"], each["publitrac_status"], each["publitrac_code"], each["publitrac_reason"])
        for each in records
    }
    assert added == {
        (1, "ok", "", ""),
        (2, "rejected", "9018", "several match"),
        (3, "unknown", "", "lost"),
        (4, "rejected", "9002", "email: not an e-mail address: it has no @ (code 9002)"),
        (5, "pending", "", "refused"),
        (6, "skipped", "", "superseded by line 7"),
        (7, "ok", "", ""),
    }


@pytest.mark.parametrize(
    "error",
    [
        ValidationError("city: invalid", vendor_message="No city 'X'; no name"),
        ValidationError(
            "city: invalid", problems=[Problem("a", text="No city 'X'"), Problem("b", text="no name")]
        ),
    ],
)
async def test_the_message_of_the_service_is_in_the_row_of_the_result_file(
    tmp_path: Path, error: PublitracError
) -> None:
    await run([{"email": "a@example.com"}], RecordingSink(lambda _: error), results_dir=tmp_path)
    record = json.loads((tmp_path / "latest" / "rejected.jsonl").read_text("utf-8"))
    assert record["publitrac_message"] == "No city 'X'; no name"


def rows_of() -> list[dict[str, str]]:
    return [{"email": email, "notes": notes} for email, notes in ROWS]


async def test_bytes_that_are_not_characters_are_written_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes(b"email,city\na@example.com,G\xf6teborg\nb@example.com,b,too much\n")
    await run(read_leads(path), RecordingSink(), results_dir=tmp_path / "results")
    rejected = (tmp_path / "results" / "latest" / "rejected.csv").read_bytes().splitlines()
    assert rejected[1] == (
        b"a@example.com,G\xf6teborg,2,rejected,,not utf-8: declare the file's encoding; "
        b"a file from Excel may need --encoding cp1252,,"
    )
    assert rejected[2] == b"b@example.com,b,3,rejected,,3 cells for 2 columns,,too much"
    lines = tmp_path / "leads.jsonl"
    lines.write_bytes(b'{"email": "\xf6@example.com"}\n')
    await run(read_leads(lines), RecordingSink(), results_dir=tmp_path / "lines")
    assert b"\xf6@example.com" in (tmp_path / "lines" / "latest" / "rejected.jsonl").read_bytes()


async def test_leads_are_written_as_rows(tmp_path: Path) -> None:
    lead = Lead(email="x", date_of_birth=dt.date(2000, 1, 2), custom_fields={"carColor": "Red"})
    await run([lead], RecordingSink(), results_dir=tmp_path)
    (row,) = read_leads(tmp_path / "latest" / "rejected.jsonl")
    assert row.fields == {"email": "x", "date_of_birth": "2000-01-02", "carColor": "Red"}


async def test_the_summary_is_the_report(tmp_path: Path) -> None:
    report = await run(rows_of(), RecordingSink(respond), results_dir=tmp_path)
    summary = json.loads((tmp_path / "latest" / "summary.json").read_text("utf-8"))
    assert summary == json.loads(json.dumps(report.as_dict()))
    assert summary["rows"] == 7
    assert summary["exit_code"] == 1
    for email, _ in ROWS:
        assert email not in json.dumps(summary)


async def test_a_folder_that_cannot_be_written_is_found_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = RecordingSink()
    with pytest.raises(ConfigurationError, match="Not a directory"):
        await run(rows(3), sink, results_dir=tmp_path / "file" / "results")
    assert sink.calls == []


async def test_files_that_cannot_be_written_do_not_lose_the_report(tmp_path: Path) -> None:
    class Taking(RecordingSink):
        async def send(self, contents: Any) -> Any:
            tmp_path.joinpath("results").rmdir()
            tmp_path.joinpath("results").write_text("")
            return await super().send(contents)

    report = await run(rows(1), Taking(), results_dir=tmp_path / "results")
    assert report.ok == 1
    assert report.stopped == "the result files cannot be written: Not a directory"
    assert report.exit_code == 1


async def test_lone_surrogates_do_not_lose_the_report_and_files_are_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    source = [{"email": "a@example.com", "firstName": "\ud800"}, {"email": "b@example.com"}]
    report = await run(source, RecordingSink(), results_dir=tmp_path)
    assert (report.stopped, report.rejected, report.ok) == (None, 1, 1)
    assert "\\ud800" in (tmp_path / "latest" / "rejected.jsonl").read_text()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "latest").iterdir()} == {0o600}


async def test_values_that_cannot_be_stored_do_not_lose_the_report(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    source = [
        {"email": "a@example.com", "firstName": deep},
        {"email": "b@example.com", "firstName": lambda: 0},
        {"email": "c@example.com"},
    ]
    report = await run(source, RecordingSink(), results_dir=tmp_path)
    assert (report.stopped, report.rejected, report.ok) == (None, 2, 1)
    rejected = (tmp_path / "latest" / "rejected.jsonl").read_text()
    assert '"firstName": "<list>"' in rejected
    assert '"firstName": "<function>"' in rejected


async def test_no_run_overwrites_the_results_of_another(tmp_path: Path) -> None:
    results = tmp_path / "crm.results"
    first = await run(rows_of(), RecordingSink(respond), results_dir=results)
    assert first.results_dir is not None
    kept = {path.name: path.read_bytes() for path in first.results_dir.iterdir()}
    again = read_leads(results / "latest" / "rejected.jsonl")
    second = await run(again, RecordingSink(), results_dir=results)
    assert second.results_dir == (results / "latest").resolve() != first.results_dir
    assert {path.name: path.read_bytes() for path in first.results_dir.iterdir()} == kept
    assert (results / "rejected.jsonl").resolve() == second.results_dir / "rejected.jsonl"
    assert second.results_dir.name.startswith(second.started_at.astimezone().strftime("%Y-%m-%d_%H"))
    with pytest.raises(SourceError):
        await run(read_leads(tmp_path / "missing.csv"), RecordingSink(), results_dir=tmp_path / "none")
    assert not (tmp_path / "none").exists()


async def test_results_of_a_workbook_are_a_workbook_of_text(tmp_path: Path) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="needs the extra xlsx")
    with xlsxwriter.Workbook(str(tmp_path / "leads.xlsx")) as book:
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = book.add_worksheet("Kunden 2026")
        for line, (email, notes) in enumerate([("email", "notes"), *ROWS]):
            sheet.write_row(line, 0, [email, notes if line else "notes"])
        sheet.write_row("C1", ["phone", "dateOfBirth", "isCustomer"])
        sheet.write_row("C2", [15145550100.0, dt.datetime(1980, 5, 12), True], date)  # noqa: DTZ001
        sheet.write("B4", '=HYPERLINK("http://x")')
        sheet.write("H4", "stray")
    source = read_leads(tmp_path / "leads.xlsx")
    await run(source, RecordingSink(respond), results_dir=tmp_path / "results")
    found = {}
    for name in EXPECTED:
        path = tmp_path / "results" / "latest" / f"{name}.xlsx"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with zipfile.ZipFile(path) as book:
            assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
        found[name] = list(read_leads(path, sheet="Kunden 2026"))
    assert [row.fields["email"] for row in found["done"]] == EXPECTED["done"]
    assert found["done"][0].fields == {
        "email": "done@example.com",
        "notes": "plain",
        "phone": "15145550100",
        "dateOfBirth": "1980-05-12",
        "isCustomer": True,
    }
    retried = RecordingSink()
    await run(read_leads(tmp_path / "results" / "latest" / "unprocessed.xlsx"), retried)
    assert retried.emails == EXPECTED["unprocessed"][1:]
    (stray,) = [row for row in found["rejected"] if row.fields["email"] == "lost@example.com"]
    assert stray.problem is None


async def test_results_of_a_json_array_are_an_array(tmp_path: Path) -> None:
    (tmp_path / "leads.json").write_text(json.dumps(rows_of()), encoding="utf-8")
    await run(read_leads(tmp_path / "leads.json"), RecordingSink(respond), results_dir=tmp_path / "results")
    for name, emails in EXPECTED.items():
        content = json.loads((tmp_path / "results" / "latest" / f"{name}.json").read_text(encoding="utf-8"))
        assert [each["email"] for each in content] == emails
    await run(read_leads(tmp_path / "leads.json"), RecordingSink(), results_dir=tmp_path / "good")
    path = tmp_path / "good" / "latest" / "unprocessed.json"
    assert (json.loads(path.read_text()), list(read_leads(path))) == ([], [])


class Page(HTMLParser):
    """The resources that a page refers to, and its drawings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.feed(text)
        self.drawings = [
            ET.fromstring("<svg" + part.split("</svg>")[0] + "</svg>") for part in text.split("<svg")[1:]
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [str(value) for name, value in attrs if name in {"src", "href", "srcset"}]


async def page_of(tmp_path: Path, report: Report) -> Page:
    text = (tmp_path / "latest" / "report.html").read_text("utf-8")
    assert "url(" not in text
    assert "@import" not in text
    for email, _ in ROWS:
        assert email not in text
    return Page(text)


async def test_the_page_has_three_charts_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    meter = CallMeter(35)

    class Metered(RecordingSink):
        async def send(self, records):  # type: ignore[no-untyped-def]
            meter(RequestSent(operation="test", attempt=1, limiter_wait=0.1))
            return await super().send(records)

    sink = Metered(respond, turns=5)
    report = await sync_leads(
        [*rows_of(), *rows(500)],
        sink,
        results_dir=tmp_path,
        error_budget=GENEROUS,
        monitor=Monitor(call_meter=meter, interval=0.005),
        concurrency=2,
    )
    page = await page_of(tmp_path, report)
    assert page.references == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    rate, outcomes, errors = page.drawings
    space = "{http://www.w3.org/2000/svg}"
    bars = rate.findall(f"{space}rect")
    assert 1 <= len(bars) <= len(report.timeline)  # short buckets are joined
    assert "limit 35" in [text.text for text in rate.iter(f"{space}text")]
    assert meter.calls == sum(bucket.calls or 0 for bucket in report.timeline) == 505
    areas = {area.find(f"{space}title").text for area in outcomes.findall(f"{space}polygon")}  # type: ignore[union-attr]
    assert areas == {"ok: 502", "rejected: 1", "unknown: 1", "pending: 1"}
    texts = [text.text for text in errors.iter(f"{space}text")]
    assert dict(zip(texts[::2], texts[1::2], strict=True)) == {
        "Conflict": "1",
        "NotSent": "1",
        "OutcomeUnknown": "1",
        "ValidationError": "1",
    }


async def test_an_empty_run_has_a_page_too(tmp_path: Path) -> None:
    report = await run([], RecordingSink(), results_dir=tmp_path)
    assert (await page_of(tmp_path, report)).drawings == []


async def test_the_reasons_of_rows_that_are_left_are_counted(tmp_path: Path) -> None:
    def fail(lead: Any) -> PublitracError | None:
        number = int(lead.email[4:].partition("@")[0])
        return None if number > 5 else NotSent("refused") if number > 3 else ServerError("HTTP 503")

    budget = ErrorBudget(share=1, in_a_row=100)
    report = await sync_leads(rows(8), RecordingSink(fail), error_budget=budget, results_dir=tmp_path)
    assert (report.ok, report.pending) == (2, 6)
    # The most frequent one first.
    reasons = {"ServerError: HTTP 503": 4, "NotSent: refused": 2}
    assert list(report.pending_reasons.items()) == list(reasons.items())
    assert json.loads((tmp_path / "latest" / "summary.json").read_text())["pending_reasons"] == reasons
    page = (tmp_path / "latest" / "report.html").read_text()
    assert "4 rows are pending because of ServerError: HTTP 503" in page
