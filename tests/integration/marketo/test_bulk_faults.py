"""Whole runs against a service that fails for some rows: the others are sent, and none of them waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from publitrac_async import RetryPolicy
from publitrac_async.bulk import ErrorBudget, MarketoSink, read_leads, sync_leads
from publitrac_async.marketo import MarketoClient
from tests.support.marketo import HOST, ID, SECRET, refused, result

ANY = ErrorBudget(share=1)
FAST = RetryPolicy(base=0.001, throttle_base=0.001, cap=0.01)
SCHEMA = {
    "name": "API Lead",
    "searchableFields": [["email"], ["id"], ["externalId"], ["cookies"]],
    "fields": [{"name": name} for name in ("email", "id", "city", "externalId")],
}


class Service:
    """Responds to Sync Leads as a function of the records."""

    def __init__(self, respond: Callable[[list[Any]], Any], schema: Any = SCHEMA) -> None:
        self._respond = respond
        self._schema = schema
        self.calls: list[dict[str, Any]] = []
        self.schemas = 0

    @property
    def sizes(self) -> list[int]:
        return [len(call["input"]) for call in self.calls]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/identity/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if request.url.path.endswith("describe2.json"):
            self.schemas += 1
            return httpx.Response(
                200, json=self._schema if "success" in self._schema else result(self._schema)
            )
        body = json.loads(await request.aread())
        self.calls.append(body)
        await asyncio.sleep(0)
        response = self._respond(body["input"])
        if isinstance(response, Exception):
            raise response
        if isinstance(response, httpx.Response):
            return response
        return httpx.Response(
            200, json=response or result(*[{"id": 1, "status": "created"}] * len(body["input"]))
        )


@contextlib.asynccontextmanager
async def serving(
    respond: Callable[[list[Any]], Any], schema: Any = SCHEMA
) -> AsyncIterator[tuple[Any, Service]]:
    service = Service(respond, schema)
    async with MarketoClient(
        base_url=HOST,
        client_id=ID,
        client_secret=SECRET,
        rate_limit=None,
        retry=FAST,
        transport=httpx.MockTransport(service),
    ) as marketo:
        yield marketo, service


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"email": f"p{number}@x.com", **more} for number in range(count)]


def has(number: int, records: list[Any]) -> bool:
    return any(record["email"] == f"p{number}@x.com" for record in records)


@pytest.mark.parametrize(
    "failure", [refused("604"), refused("502"), httpx.ReadTimeout("x"), httpx.Response(502)], ids=str
)
async def test_one_row_that_always_takes_too_long_is_rejected_alone(failure: Any, tmp_path: Path) -> None:
    async with serving(lambda records: failure if has(437, records) else None) as (marketo, service):
        sink = MarketoSink(marketo)
        report = await sync_leads(rows(1500), sink, state=tmp_path / "s.sqlite", concurrency=3)
        assert (report.ok, report.rejected, report.pending, report.unknown) == (1499, 1, 0, 0)
        assert report.stopped is None
        assert report.rejections[0].line == 438
        again = await sync_leads(rows(1500), sink, state=tmp_path / "s.sqlite")
    assert (again.skipped, again.rejected) == (1499, 1)
    assert len(service.calls) < 100


async def test_no_row_waits_behind_stretches_of_rows_that_always_fail(tmp_path: Path) -> None:
    bad = {*range(20, 110), *range(150, 240), 299}

    def answer(records: list[Any]) -> Any:
        return refused("1003") if any(has(number, records) for number in bad) else None

    async with serving(answer) as (marketo, service):
        report = await sync_leads(
            rows(300), MarketoSink(marketo), state=tmp_path / "s.sqlite", error_budget=ANY
        )
    assert (report.ok, report.rejected, report.stopped) == (300 - len(bad), len(bad), None)
    assert len(service.calls) < 2 * 300


async def test_a_lost_call_for_half_of_a_batch_of_new_leads_is_unknown_for_that_half_only() -> None:
    def answer(records: list[Any]) -> Any:
        if len(records) == 300:
            return refused("604")
        return httpx.ReadError("x") if has(200, records) else None

    async with serving(answer) as (marketo, _):
        report = await sync_leads(rows(300), MarketoSink(marketo, action="createOnly"))
    assert (report.ok, report.unknown) == (150, 150)


async def test_a_slow_service_gets_smaller_calls() -> None:
    async with serving(lambda records: refused("604") if len(records) > 40 else None) as (marketo, service):
        report = await sync_leads(rows(900), MarketoSink(marketo), concurrency=3)
    assert (report.ok, report.stopped) == (900, None)
    assert len(service.calls) < 60


async def test_a_lost_call_of_new_leads_is_one_failed_call() -> None:
    lost = [httpx.ReadError("x")]
    async with serving(lambda records: lost.pop() if lost and has(700, records) else None) as (marketo, _):
        report = await sync_leads(rows(6000), MarketoSink(marketo, action="createOnly"), concurrency=2)
    assert (report.ok, report.unknown, report.pending, report.stopped) == (5700, 300, 0, None)


async def test_a_service_that_is_down_leaves_rows_pending_and_rejects_none() -> None:
    async with serving(lambda _: httpx.Response(503)) as (marketo, service):
        report = await sync_leads(rows(3000), MarketoSink(marketo), concurrency=2)
    assert report.ok == report.rejected == 0
    assert report.pending + report.unknown == 3000
    assert len(service.calls) < 400


async def test_rows_behind_a_call_that_was_not_executed_are_pending() -> None:
    calls: list[int] = []

    def respond(records: list[Any]) -> Any:
        calls.append(len(records))
        return refused("607") if len(calls) == 2 else None

    async with serving(respond) as (marketo, _):
        sink = MarketoSink(marketo, action="createOnly")
        report = await sync_leads(rows(300, notes="x" * 10_000), sink, concurrency=1)
    assert len(calls) == 2
    assert (report.ok, report.pending, report.unknown) == (calls[0], 300 - calls[0], 0)


async def test_an_odd_result_costs_its_row() -> None:
    def respond(records: list[Any]) -> Any:
        items: list[Any] = [{"id": 1, "status": "created"}] * len(records)
        return result(
            *(
                None if record["email"] == "p7@x.com" else item
                for record, item in zip(records, items, strict=True)
            )
        )

    async with serving(respond) as (marketo, _):
        report = await sync_leads(rows(900), MarketoSink(marketo), concurrency=1)
    assert (report.ok, report.unknown, report.stopped) == (899, 1, None)


# Fields.


def unknown(records: list[Any]) -> Any:
    reason = {"code": "1006", "message": "Field not found"}
    return result(
        *(
            {"status": "skipped", "reasons": [reason]}
            if "shoeSize" in record
            else {"id": 1, "status": "created"}
            for record in records
        )
    )


async def test_a_column_that_marketo_does_not_have_is_named_and_costs_few_calls() -> None:
    async with serving(unknown) as (marketo, service):
        source = [*rows(1200, city="Oslo", shoeSize=42), {"email": "fine@x.com", "city": "Oslo"}]
        report = await sync_leads(source, MarketoSink(marketo), concurrency=1, error_budget=ANY)
    assert (report.ok, report.rejected) == (1, 1200)
    assert {each.reason for each in report.rejections} == {"shoeSize: a field does not exist"}
    assert service.schemas == 1
    assert service.sizes == [300, 1]


async def test_result_files_have_the_message_of_marketo(tmp_path: Path) -> None:
    words = "Invalid value for field 'city' and value 'canary'"
    refusal = {"status": "skipped", "reasons": [{"code": "1003", "message": words}]}
    async with serving(lambda records: result(*[refusal] * len(records))) as (marketo, _):
        report = await sync_leads(
            rows(2, city="canary"), MarketoSink(marketo), results_dir=tmp_path, state=tmp_path / "s.sqlite"
        )
    rejected = (tmp_path / "latest" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["publitrac_message"] for line in rejected] == [words] * 2
    # They quote the row, so they are nowhere else.
    assert [each.reason for each in report.rejections] == ["city: the value is invalid"] * 2
    others = [tmp_path / "s.sqlite", *(tmp_path / "latest").glob("*.html"), *tmp_path.glob("latest/*.json")]
    assert all(b"Invalid value" not in each.read_bytes() for each in others)


async def test_a_call_that_is_refused_for_an_unknown_field_is_not_halved() -> None:
    def answer(records: list[Any]) -> Any:
        return refused("1006") if any("shoeSize" in record for record in records) else None

    async with serving(answer) as (marketo, service):
        source = [*rows(250, shoeSize=42), *rows(300, city="Oslo")[250:], *rows(600, shoeSize=42)[300:]]
        report = await sync_leads(source, MarketoSink(marketo), concurrency=1, error_budget=ANY)
    assert (report.ok, report.rejected) == (50, 550)
    assert {each.reason for each in report.rejections} == {"shoeSize: a field does not exist"}
    assert service.sizes == [300, 50]


async def test_names_in_another_case_are_left_to_marketo() -> None:
    async with serving(unknown) as (marketo, service):
        source = [{"email": "a@x.com", "shoeSize": 42}, *rows(600, City="Oslo")]
        report = await sync_leads(source, MarketoSink(marketo), concurrency=1)
    assert (report.ok, report.rejected, service.schemas) == (600, 1, 1)


async def test_without_the_fields_of_the_account_marketo_judges_each_record() -> None:
    async with serving(unknown, refused("603")) as (marketo, service):
        source = rows(700, shoeSize=42)
        report = await sync_leads(source, MarketoSink(marketo), concurrency=1, error_budget=ANY)
    assert report.rejected == 700
    assert service.schemas == 1
    assert service.sizes == [300, 300, 100]


async def test_no_call_is_made_if_everything_is_known() -> None:
    async with serving(lambda _: None) as (marketo, service):
        report = await sync_leads(rows(5, Region__c="N", status="Hot"), MarketoSink(marketo))
    assert (report.ok, service.schemas) == (5, 0)
    assert service.calls[0]["input"][0] == {"Region__c": "N", "email": "p0@x.com", "status": "Hot"}


# Settings.


async def test_leads_by_marketos_own_id(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("id,city\n5,Oslo\n6,Rome\n", encoding="utf-8")
    async with serving(lambda _: None) as (marketo, service):
        sink = MarketoSink(marketo, lookup_field="id", action="updateOnly")
        report = await sync_leads(read_leads(tmp_path / "leads.csv"), sink)
    assert report.ok == 2
    assert service.calls[0]["lookupField"] == "id"
    assert service.calls[0]["input"] == [{"city": "Oslo", "id": "5"}, {"city": "Rome", "id": "6"}]


async def test_another_partition_is_another_destination(tmp_path: Path) -> None:
    async with serving(lambda _: None) as (marketo, service):
        for partition, ok in (("Default", 3), ("Europe", 3), ("Default", 0), ("Europe", 0)):
            sink = MarketoSink(marketo, partition_name=partition)
            report = await sync_leads(rows(3), sink, state=tmp_path / "s.sqlite")
            assert (report.ok, report.skipped) == (ok, 3 - ok)
    assert [call["partitionName"] for call in service.calls] == ["Default", "Europe"]


@pytest.mark.parametrize("changed", [{"action": "updateOnly"}, {"lookup_field": "externalId"}])
async def test_other_settings_are_other_content(tmp_path: Path, changed: Any) -> None:
    source = [row | {"externalId": row["email"]} for row in rows(3)]
    async with serving(lambda _: None) as (marketo, _):
        for settings in ({}, changed):
            report = await sync_leads(source, MarketoSink(marketo, **settings), state=tmp_path / "s.sqlite")
            assert report.ok == 3


async def test_a_lookup_field_that_does_not_exist_is_found_before_the_first_call(tmp_path: Path) -> None:
    source = [row | {"emial": row["email"]} for row in rows(3)]
    async with serving(lambda _: None) as (marketo, service):
        sink = MarketoSink(marketo, lookup_field="emial")
        report = await sync_leads(source, sink, state=tmp_path / "s.sqlite")
        assert report.stopped is not None
        assert "leads cannot be looked up by emial, only by email, externalId, id" in report.stopped
        assert (report.pending, report.rejected, service.calls) == (3, 0, [])


@pytest.mark.parametrize("code", ["1009", "1011", "1008", "603"])
async def test_refused_settings_are_never_remembered_as_rejections(tmp_path: Path, code: str) -> None:
    async with serving(lambda _: refused(code)) as (marketo, service):
        report = await sync_leads(rows(700), MarketoSink(marketo), state=tmp_path / "s.sqlite", concurrency=1)
    assert report.stopped is not None
    assert (report.pending, report.rejected) == (700, 0)
    assert len(service.calls) == 1
    async with serving(lambda _: None) as (marketo, _):
        report = await sync_leads(rows(700), MarketoSink(marketo), state=tmp_path / "s.sqlite", concurrency=1)
    assert report.ok == 700


# Consent.


async def test_a_no_of_a_file_takes_no_opt_out_back(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(
        "email,unsubscribed,doNotCall\na@x.com,0,false\nb@x.com,1,no\n", encoding="utf-8"
    )
    async with serving(lambda _: None) as (marketo, service):
        await sync_leads(read_leads(tmp_path / "leads.csv"), MarketoSink(marketo))
        await sync_leads(read_leads(tmp_path / "leads.csv"), MarketoSink(marketo, opt_in=["unsubscribed"]))
    assert service.calls[0]["input"] == [{"email": "a@x.com"}, {"email": "b@x.com", "unsubscribed": True}]
    assert service.calls[1]["input"][0] == {"email": "a@x.com", "unsubscribed": False}
