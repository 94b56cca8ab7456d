"""People who opted out stay opted out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import Lead
from publitrac_async.bulk import ColumnMapping, MarketoRecords, RowTransform, dry_run, read_leads
from publitrac_async.bulk.rows import Row
from tests.support.runs import run
from tests.support.sinks import RecordingSink

MAPPING = {"fields": {"email": "email", "unsubscribed": "unsubscribed"}}


async def test_a_no_from_a_file_is_not_sent_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text("email,unsubscribed,doNotCall\na@example.com,0,0\nb@example.com,1,no\n")
    sink = RecordingSink()
    report = await run(read_leads(path), sink)
    assert sink.arrived == [Lead(email="a@example.com"), Lead(email="b@example.com", unsubscribed=True)]
    assert report.withheld == {"unsubscribed": 1, "doNotCall": 2}
    assert report.as_dict()["withheld"] == {"unsubscribed": 1, "doNotCall": 2}


async def test_a_no_is_sent_if_the_mapping_has_both() -> None:
    sink = RecordingSink()
    mapping = ColumnMapping.from_dict({**MAPPING, "consent": {"unsubscribed": "both"}})
    report = await run([{"email": "a@example.com", "unsubscribed": "0"}], sink, mapping=mapping)
    assert sink.arrived == [Lead(email="a@example.com", unsubscribed=False)]
    assert report.withheld == {}


async def test_a_lead_built_in_python_is_sent_as_it_is() -> None:
    sink = RecordingSink()
    lead = Lead(email="a@example.com", unsubscribed=False, blacklisted=False)
    await run([lead], sink)
    assert sink.arrived == [lead]


def as_rows(first: dict[str, Any], last: dict[str, Any]) -> list[Any]:
    return [{"email": "a@example.com", **first}, {"email": "A@Example.com", **last}]


def as_leads(first: dict[str, Any], last: dict[str, Any]) -> list[Any]:
    return [Lead(email="a@example.com", **first), Lead(email="A@Example.com", **last)]


@pytest.mark.parametrize("build", [as_rows, as_leads])
@pytest.mark.parametrize("last", [{}, {"unsubscribed": False}, {"first_name": "Ana"}])
async def test_of_several_rows_with_one_address_an_opt_out_in_any_of_them_wins(
    build: Callable[[dict[str, Any], dict[str, Any]], list[Any]], last: dict[str, Any]
) -> None:
    sink = RecordingSink()
    report = await run(build({"unsubscribed": True, "do_not_call": True}, last), sink)
    (sent,) = sink.arrived
    assert (sent.unsubscribed, sent.do_not_call) == (True, True)
    assert sent.email == "A@Example.com"
    assert sent.first_name == last.get("first_name", sent.first_name)
    assert (report.ok, report.duplicates) == (1, 1)


async def test_a_lead_without_opt_outs_stays_unchanged_in_a_batch_with_others() -> None:
    sink = RecordingSink()
    await run([*as_rows({"suspended": "yes"}, {}), {"email": "b@example.com"}], sink)
    assert sink.arrived == [Lead(email="A@Example.com", suspended=True), Lead(email="b@example.com")]


async def test_a_superseded_opt_out_is_remembered_by_the_state_store(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    source = as_rows({"unsubscribed": "1"}, {"first_name": "Ana"})
    await run(source, RecordingSink(), state=state)
    again = RecordingSink()
    report = await run(source, again, state=state)
    assert (again.arrived, report.skipped) == ([], 2)


class ToMarketo(RecordingSink):
    """Accepts records of Marketo."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.to_record = MarketoRecords(**settings)  # type: ignore[assignment]  # the content is another
        self.own_columns = self.to_record.own_columns

        self.records: list[dict[str, Any]] = []

    async def send(self, contents: Any) -> Any:
        self.records += map(json.loads, contents)
        return [None] * len(contents)


async def test_marketos_own_flags_are_one_way_and_any_opt_out_wins() -> None:
    sink = ToMarketo()
    rows = [
        {"email": "a@example.com", "blackListed": "oui", "marketingSuspended": 1},
        {"email": "A@example.com", "blackListed": "faux", "EmailSuspended": "0,0", "city": "Lund"},
        {"email": "b@example.com", "unsubscribed": "perhaps"},
    ]
    report = await run(rows, sink)
    assert sink.records == [
        {"email": "A@example.com", "city": "Lund", "blackListed": True, "marketingSuspended": True}
    ]
    assert report.withheld == {"blackListed": 1, "EmailSuspended": 1}
    assert [each.reason.split(":")[:2] for each in report.rejections] == [
        ["unsubscribed", " neither yes nor no"]
    ]


async def test_a_no_to_marketo_is_sent_if_the_sink_sets_it() -> None:
    sink = ToMarketo(fields={"Avregistrerad": "unsubscribed"}, opt_in=["unsubscribed"])
    report = await run([{"email": "a@example.com", "Avregistrerad": "no", "doNotCall": "no"}], sink)
    assert sink.records == [{"email": "a@example.com", "unsubscribed": False}]
    assert report.withheld == {"doNotCall": 1}


async def test_a_mapping_to_marketo_names_fields_and_consent() -> None:
    content = {
        "fields": {"email": "E-post", "mobile": "Mobil", "unsubscribed": "Av", "do_not_call": "Ring inte"},
        "custom_fields": {"blackListed": "Spärr"},
        "consent": {"unsubscribed": "both"},
        "empty": {"mobile": "clear"},
    }
    row = {"E-post": "a@example.com", "Mobil": "", "Av": "non", "Ring inte": "nej", "Spärr": "0"}
    mapping = ColumnMapping.from_dict({**content, "values": {"do_not_call": {"nej": "0"}}})
    sink = ToMarketo()
    report = await run([row], sink, mapping=mapping)
    assert sink.records == [{"email": "a@example.com", "mobilePhone": None, "unsubscribed": False}]
    assert report.withheld == {"doNotCall": 1}
    (checked,) = dry_run([row], RowTransform(sink.to_record, mapping, own_columns=sink.own_columns))
    assert json.loads(checked.content) == sink.records[0]


@pytest.mark.parametrize(("consent", "sent"), [({}, {}), ({"unsubscribed": "both"}, {"unsubscribed": None})])
def test_an_empty_cell_clears_a_flag_of_marketo_only_if_the_mapping_has_both(
    consent: dict[str, str], sent: dict[str, None]
) -> None:
    mapping = ColumnMapping.from_dict({**MAPPING, "empty": {"unsubscribed": "clear"}, "consent": consent})
    records = MarketoRecords()
    transform = RowTransform(records, mapping, own_columns=records.own_columns)
    record, _ = transform(Row(1, {"email": "a@example.com", "unsubscribed": ""}))
    assert json.loads(record.content) == {"email": "a@example.com"} | sent
