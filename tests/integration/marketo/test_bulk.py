"""`sync --via marketo` and its sink: batches of 300, each key once, an outcome for each row."""

from __future__ import annotations

import json
import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from publitrac_async import ConfigurationError, Lead, QuotaExhausted, ValidationError
from publitrac_async.bulk import (
    MarketoRecords,
    MarketoSink,
    Resend,
    State,
    marketo_record,
    read_leads,
    sync_leads,
    unknown_rows,
)
from publitrac_async.bulk.outcomes import outcome_of
from publitrac_async.marketo import STANDARD_FIELDS, MarketoClient
from publitrac_async.sandbox import Fault, Sandbox
from tests.integration.marketo.conftest import client
from tests.support.commands import start_command

ROOT = Path(__file__).parents[3]


def rows(count: int) -> list[dict[str, str]]:
    return [{"email": f"p{n}@example.com", "firstName": f"P{n}", "leadScore": "7"} for n in range(count)]


def keys(sandbox: Sandbox) -> Counter[str]:
    arrivals = [each for each in sandbox.journal.arrivals if each.method == "syncLead"]
    return Counter(key for each in arrivals for key in (each.key or "").split(","))


def stored(sandbox: Sandbox) -> list[dict[str, Any]]:
    leads: list[dict[str, Any]] = sandbox.contents("marketo")["leads"]
    return leads


async def test_batches_of_300_and_each_key_once(
    marketo: MarketoClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    source = [*rows(1000), {"email": "P3@example.com", "firstName": "newer"}]
    sink = MarketoSink(marketo)
    report = await sync_leads(source, sink, state=tmp_path / "run.sqlite", concurrency=5)
    assert (report.ok, report.skipped, report.sink) == (1000, 1, "marketo")
    assert sandbox.journal.count(method="syncLead") == 4
    assert set(keys(sandbox).values()) == {1}
    assert len(stored(sandbox)) == 1000
    assert [lead["firstName"] for lead in stored(sandbox) if lead["email"].lower() == "p3@example.com"] == [
        "newer"
    ]
    again = await sync_leads(source, sink, state=tmp_path / "run.sqlite")
    assert (again.ok, again.skipped) == (0, 1001)
    assert sandbox.journal.count(method="syncLead") == 4


async def test_every_row_has_its_own_outcome(
    marketo: MarketoClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.marketo.seed({"leads": [{"email": "p2@example.com"}, {"email": "p2@example.com"}]})
    source: list[dict[str, Any]] = rows(5)
    source[1]["leadScore"] = "many"
    source[3]["nothing"] = "x"
    source += [{"email": "no address"}, {"email": "é@example.com"}, {"firstName": "Nobody"}]
    report = await sync_leads(source, MarketoSink(marketo), state=tmp_path / "run.sqlite")
    assert (report.ok, report.rejected) == (2, 6)
    reasons = {each.line: (each.reason, each.code) for each in report.rejections}
    assert reasons[2] == ("leadScore: the value is invalid", "1003")
    assert reasons[3] == ("several leads match", "1007")
    assert reasons[4] == ("nothing: a field does not exist", "1006")
    assert "not an e-mail address" in reasons[6][0]
    assert "must be ASCII" in reasons[7][0]
    assert "e-mail address is required" in reasons[8][0]
    assert sandbox.journal.count(method="syncLead") == 1


async def test_upserts_are_retried_after_a_lost_response(marketo: MarketoClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("drop", match="marketo.syncLead", apply=True, probability=0.5, times=4))
    report = await sync_leads(rows(1000), MarketoSink(marketo), concurrency=5)
    assert report.ok == 1000
    assert len(stored(sandbox)) == 1000


async def test_new_leads_with_an_unknown_outcome_wait_to_be_reconciled(
    marketo: MarketoClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.inject(Fault("drop", match="marketo.syncLead", apply=True))
    sink = MarketoSink(marketo, action="createDuplicate")
    assert not sink.idempotent
    store = tmp_path / "run.sqlite"
    report = await sync_leads(rows(400), sink, state=store, concurrency=1)
    assert (report.ok, report.unknown) == (100, 300)
    again = await sync_leads(rows(400), sink, state=store, resend=Resend(rejected=True))
    assert (again.ok, again.unknown) == (0, 300)
    assert len(stored(sandbox)) == 400
    assert len(await unknown_rows(store)) == 300


async def test_the_quota_of_the_day_ends_the_run_and_the_next_day_continues(tmp_path: Path) -> None:
    async with Sandbox(marketo_rate_limit=None, marketo_daily_quota=2) as sandbox, client(sandbox) as marketo:
        sink = MarketoSink(marketo)
        report = await sync_leads(rows(1000), sink, state=tmp_path / "run.sqlite", concurrency=1)
        assert report.ok == 600
        assert report.pending == 400
        assert report.stopped is not None
        assert report.stopped.startswith(QuotaExhausted.__name__)
        sandbox.advance(24 * 3600)
        report = await sync_leads(rows(1000), sink, state=tmp_path / "run.sqlite", concurrency=1)
        assert (report.ok, report.skipped) == (400, 600)
        assert len(stored(sandbox)) == 1000


async def test_an_error_between_two_parts_of_a_batch(marketo: MarketoClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("status", match="marketo.syncLead", status=400, after=1, times=None))
    long = ("address", "doNotCallReason", "unsubscribedReason", "marketoSocialFacebookProfileURL")
    texts = dict.fromkeys(long, "x" * 2000)
    sink = MarketoSink(marketo)
    outcomes = await sink.send([sink.to_record(row | texts).content for row in rows(200)])
    assert outcomes[:100] == [None] * 100
    assert outcomes.count(None) < 200
    # Calls are refused whatever they contain. It is not the fault of the rows, so they stay pending.
    assert isinstance(outcomes[-1], ConfigurationError)
    assert outcome_of(outcomes[-1]).state is State.RETRY


# The form of rows.


def test_a_row_that_no_call_can_take_is_rejected_before_one() -> None:
    with pytest.raises(ValidationError, match="the row is larger than"):
        marketo_record({"email": "a@x.com", "city": "x" * 1_000_000})


def test_a_row_is_mapped_to_a_record() -> None:
    row = {
        "email": " Ada@example.com ",
        "firstName": "Ada",
        "title": "Lady",
        "status": "Hot",
        "unsubscribed": "1",
        "doNotCall": "0",
        "phone": "",
        "city": None,
        "annualRevenue": Decimal("12.50"),
        "visits": float("nan"),
    }
    record = marketo_record(row)
    assert record.key == "ada@example.com"
    assert orjson.loads(record.content) == {
        "email": "Ada@example.com",
        "firstName": "Ada",
        "title": "Lady",
        "status": "Hot",
        "unsubscribed": "1",
        "annualRevenue": 12.5,
    }


def test_only_mapped_fields_of_a_lead_are_sent() -> None:
    lead = Lead(email="a@x.com", city="Oslo", notes="secret", custom_fields={"carColor": "Red", "other": 1})
    record = marketo_record(lead, fields={**STANDARD_FIELDS, "carColor": "color__c"})
    assert orjson.loads(record.content) == {"email": "a@x.com", "city": "Oslo", "color__c": "Red"}


def test_another_field_can_be_the_key() -> None:
    settings: dict[str, Any] = {"fields": {"Number": "externalId"}, "lookup_field": "externalId"}
    record = marketo_record({"email": "a@x.com", "Number": "A-7"}, **settings)
    assert (record.key, orjson.loads(record.content)["externalId"]) == ("a-7", "A-7")
    with pytest.raises(ValidationError, match="Number: is required, since leads are looked up by it"):
        marketo_record({"email": "a@x.com"}, **settings)
    assert marketo_record({"id": 5, "city": "Oslo"}, lookup_field="id", action="updateOnly").key == "5"


def test_the_order_of_columns_is_no_change() -> None:
    one, other = {"email": "a@x.com", "city": "Oslo"}, {"city": "Oslo", "email": "a@x.com"}
    assert marketo_record(one) == marketo_record(other)


def test_another_partition_is_another_row() -> None:
    row = {"email": "A@x.com"}
    assert marketo_record(row, partition_name="Europe").key == "Europe: a@x.com"
    assert marketo_record(row).key == "a@x.com"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"email": "a@x.com", "First Name": "A"}, "First Name: no field of Marketo can have this name"),
        ({"email": "a@x.com", "city": "A", "City": "B"}, "City: two columns for the field city"),
        ({"email": "nobody"}, "email: not an e-mail address"),
        ({"firstName": "A"}, "email: an e-mail address is required"),
        ({"email": "a@x.com", "id": 7}, "id: can only be given with the action updateOnly"),
        ({"email": "a@x.com", "tags": ["x"]}, "tags: cannot be written from list"),
    ],
)
def test_a_row_that_cannot_be_sent_is_refused_by_its_columns(row: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as caught:
        marketo_record(row, fields={"City": "city"})
    assert all(
        problem.code is None for problem in caught.value.problems
    )  # PUBLITRAC's codes are not Marketo's.


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"action": "upsert"}, "action must be one of"),
        ({"lookup_field": "id"}, "needs the action updateOnly"),
        ({"lookup_field": "a b"}, "must be the REST name"),
        ({"action": "updateOnly", "partition_name": "Europe"}, "a partition needs the action"),
        ({"partition_name": " "}, "the name of the partition is empty"),
        ({"opt_in": ["city"]}, "city: not a consent field"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        MarketoRecords(**settings)


def test_the_payload_depends_on_the_options() -> None:
    row = {"email": "a@x.com"}
    digests = {
        marketo_record(row).content_hash,
        marketo_record(row, action="updateOnly").content_hash,
        # A worker whose options differ from those of the run notices it by the hash.
        marketo_record(row, partition_name="Europe").content_hash,
        marketo_record(row | {"city": "Oslo"}).content_hash,
    }
    assert len(digests) == 4


# The command.


async def command(sandbox: Sandbox, folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    environment = {
        "MARKETO_BASE_URL": sandbox.base_url,
        "MARKETO_CLIENT_ID": sandbox.settings.marketo_client_id,
        "MARKETO_CLIENT_SECRET": sandbox.settings.marketo_client_secret,
        "PYTHONPATH": str(ROOT),
    }
    process = await start_command(*arguments, cwd=folder, variables={**os.environ, **environment})
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def write(path: Path, count: int) -> Path:
    lines = [f"p{n}@example.com,Åsa,7" for n in range(count)]
    path.write_text("\n".join(["email,firstName,leadScore", *lines, "no address,Bo,1"]), encoding="utf-8")
    return path


async def test_the_command_sends_a_file_and_then_its_changes(sandbox: Sandbox, tmp_path: Path) -> None:
    source = write(tmp_path / "leads.csv", 700)
    arguments = ("sync", "leads.csv", "--via", "marketo", "--state", "run.sqlite")
    code, out, _ = await command(sandbox, tmp_path, *arguments)
    assert code == 3
    assert out.startswith("leads.csv to Marketo by marketo: 701 rows")
    assert "700  ok" in out
    assert sandbox.journal.count(method="syncLead") == 3
    assert len(stored(sandbox)) == 700
    code, out, _ = await command(sandbox, tmp_path, *arguments, "--json")
    report = json.loads(out.splitlines()[-1])
    assert (report["skipped"], report["rejected"]) == (700, 1)
    assert sandbox.journal.count(method="syncLead") == 3
    assert [row.fields["email"] for row in list(read_leads(source))[:1]] == ["p0@example.com"]


async def test_the_command_with_its_own_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path / "leads.csv", 20)
    code, out, _ = await command(sandbox, tmp_path, "sync", "leads.csv", "--via", "marketo", "--sandbox")
    assert code == 0
    assert "20  ok" in out
    assert not stored(sandbox)


async def test_options_that_the_command_refuses(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path / "leads.csv", 1)
    code, _, err = await command(sandbox, tmp_path, "sync", "leads.csv", "--via", "marketo", "--verify")
    assert code == 2
    assert "--verify reads leads back from PUBLITRAC" in err
    options = {
        "--via v2 --action createOnly": "--action needs --via marketo",
        "--via marketo --lookup-field id": "lookup_field id needs the action updateOnly",
        "--via marketo --partition Europe --action updateOnly": "a partition needs the action",
        "--via marketo --action upsert": "upsert",
    }
    for given, complaint in options.items():
        code, _, err = await command(sandbox, tmp_path, "sync", "leads.csv", *given.split())
        assert code == 2
        assert complaint in err
    assert not sandbox.journal.arrivals


async def test_a_dry_run_shows_the_records(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path / "leads.csv", 1)
    arguments = ("sync", "leads.csv", "--via", "marketo", "--dry-run", "--json")
    code, out, _ = await command(sandbox, tmp_path, *arguments)
    assert code == 3
    file, first, *_ = map(json.loads, out.splitlines())
    assert file["event"] == "file"
    assert first["fields"] == {"email": "p0@example.com", "firstName": "Åsa", "leadScore": "7"}
    assert not sandbox.journal.arrivals


def test_a_success_is_final() -> None:
    assert MarketoSink.success_state is State.OK
    assert MarketoSink.batch_size == 300
