"""Every operation between client and sandbox, over a real socket."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from publitrac_async import Conflict, LeadNotFound, NotFound, ValidationError
from publitrac_async.marketo import (
    LeadFieldUpdate,
    MarketoClient,
    NewLeadField,
    RecordResult,
    VisitorData,
)
from publitrac_async.sandbox import Sandbox
from tests.integration.marketo.conftest import client

COOKIE = "id:063-GJP-217&token:_mch-marketo.com-1594662481190-60776"


async def test_leads_are_created_read_updated_and_deleted(marketo: MarketoClient) -> None:
    leads = [
        {"email": "ada@example.com", "firstName": "Ada", "dateOfBirth": date(1815, 12, 10), "leadScore": 7},
        {"email": "alan@example.com", "firstName": "Алан", "city": 'a "b", c'},
    ]
    assert await marketo.sync_leads(leads) == [
        RecordResult(id=1, status="created"),
        RecordResult(id=2, status="created"),
    ]
    ada = await marketo.get_lead_by_id(1, fields=["email", "dateOfBirth", "leadScore", "middleName"])
    assert ada.fields == {
        "id": 1,
        "email": "ada@example.com",
        "dateOfBirth": "1815-12-10",
        "leadScore": 7,
        "middleName": None,
    }
    pager = marketo.get_leads_by_filter_type("email", ["ALAN@example.com"], fields=["firstName", "city"])
    assert [lead.fields async for lead in pager] == [{"id": 2, "firstName": "Алан", "city": 'a "b", c'}]
    updated = await marketo.sync_leads([{"id": 2, "city": None}], action="updateOnly", lookup_field="id")
    assert updated == [RecordResult(id=2, status="updated")]
    assert (await marketo.get_lead_by_id(2, fields=["city"])).fields["city"] is None
    assert [each.status for each in await marketo.delete_leads([1, 2])] == ["deleted", "deleted"]
    with pytest.raises(LeadNotFound):
        await marketo.get_lead_by_id(1)


async def test_records_that_are_not_taken_are_results_in_their_place(marketo: MarketoClient) -> None:
    await marketo.sync_leads([{"email": "a@example.com"}])
    results = await marketo.sync_leads(
        [
            {"email": "b@example.com"},
            {"email": "a@example.com"},
            {"email": "c@example.com", "nothing": "x"},
            {"email": "d@example.com"},
        ],
        action="createOnly",
    )
    assert [each.ok for each in results] == [True, False, False, True]
    assert isinstance(results[1].error, Conflict)
    assert isinstance(results[2].error, ValidationError)
    assert [reason.code for reason in results[2].reasons] == ["1006"]


async def test_a_thousand_leads_keep_their_order(marketo: MarketoClient, sandbox: Sandbox) -> None:
    addresses = [f"{number}@example.com" for number in range(1000)]
    results = await marketo.sync_leads({"email": email} for email in addresses)
    assert [each.id for each in results] == list(range(1, 1001))
    pager = marketo.get_leads_by_filter_type("email", addresses, batch_size=200)
    assert [lead.email async for lead in pager] == addresses
    assert sandbox.journal.count(method="syncLead") == 4
    assert sandbox.journal.count(method="getLeadsByFilter") == 7


async def test_many_long_values_go_in_the_body(marketo: MarketoClient, sandbox: Sandbox) -> None:
    addresses = [f"{'x' * 40}{number}@example.com" for number in range(300)]
    await marketo.sync_leads({"email": email} for email in addresses)
    pager = marketo.get_leads_by_filter_type("email", addresses)
    assert len([lead async for lead in pager]) == 300
    assert all(arrival.status == 200 for arrival in sandbox.journal.arrivals)


async def test_fields_are_described_listed_and_changed(marketo: MarketoClient) -> None:
    described = {each.rest.name: each for each in await marketo.describe() if each.rest}
    assert described["company"].display_name == "Company Name"
    schema = await marketo.describe2()
    assert ("email",) in schema.searchable_fields
    assert {field.name for field in schema.fields} == set(described)
    names = [field.name async for field in marketo.get_lead_fields(batch_size=7)]
    assert names == [field.name for field in schema.fields]
    new = NewLeadField(display_name="Acme Code", name="acmeCode", data_type="integer", is_sensitive=True)
    (created,) = await marketo.create_lead_fields([new])
    assert (created.name, created.status, created.ok) == ("acmeCode", "created", True)
    (again,) = await marketo.create_lead_fields([new])
    assert not again.ok
    assert (await marketo.update_lead_field("acmeCode", LeadFieldUpdate(description="x"))).ok
    field = await marketo.get_lead_field_by_name("acmeCode")
    assert (field.description, field.is_sensitive, field.is_custom, field.is_api_created) == (
        "x",
        True,
        True,
        True,
    )
    assert not (await marketo.update_lead_field("email", LeadFieldUpdate(display_name="x"))).ok
    with pytest.raises(NotFound):
        await marketo.get_lead_field_by_name("nothing")


async def test_push_and_form_write_activities(marketo: MarketoClient, sandbox: Sandbox) -> None:
    sandbox.marketo.seed(
        {"programs": [{"id": 7, "name": "Launch"}], "forms": [{"id": 1029, "fields": ["email", "firstName"]}]}
    )
    (pushed,) = await marketo.push_leads(
        [{"email": "a@example.com", "cookies": COOKIE}], program_name="Launch", source="Site", reason="Price"
    )
    assert pushed == RecordResult(id=1, status="created")
    (failed,) = await marketo.push_leads([{"nothing": 1}], program_name="Launch")
    assert (failed.ok, failed.status) == (False, None)
    submitted = await marketo.submit_form(
        form_id=1029,
        lead_form_fields={"email": "a@example.com", "firstName": "Ada"},
        program_id=7,
        visitor_data=VisitorData(page_url="https://example.com/", lead_client_ip_address="192.0.2.1"),
        cookie=COOKIE,
    )
    assert submitted == RecordResult(id=1, status="updated")
    assert [each["type"] for each in sandbox.contents("marketo")["activities"]] == [
        "Push Lead to Marketo",
        "Fill Out Form",
    ]
    with pytest.raises(NotFound):
        await marketo.push_leads([{"email": "a@example.com"}], program_name="Nowhere")


async def test_merge_associate_and_partitions(marketo: MarketoClient, sandbox: Sandbox) -> None:
    sandbox.marketo.seed({"partitions": ["Europe"]})
    await marketo.sync_leads([{"email": f"{number}@example.com"} for number in range(4)])
    await marketo.merge_leads(1, [2, 3])
    assert [lead["id"] for lead in sandbox.contents("marketo")["leads"]] == [1, 4]
    with pytest.raises(LeadNotFound):
        await marketo.merge_leads(1, [2])
    await marketo.associate_lead(1, COOKIE)
    found = await marketo.get_leads_by_filter_type("cookies", [COOKIE])
    assert [lead.id for lead in found.items] == [1]
    with pytest.raises(ValidationError) as caught:
        await marketo.associate_lead(1, "no cookie")
    assert caught.value.code == "1012"
    moved, missing = await marketo.update_lead_partition({4: "Europe", 2: "Europe"})
    assert (moved.ok, missing.ok) == (True, False)


async def test_memberships_are_read_from_both_sides(marketo: MarketoClient, sandbox: Sandbox) -> None:
    moment = "2020-04-21T16:27:16Z"
    members = [
        {"leadId": number, "progressionStatus": "Visited", "updatedAt": moment} for number in (1, 2, 3)
    ]
    sandbox.marketo.seed(
        {
            "leads": [{"email": f"{number}@example.com"} for number in range(3)],
            "lists": [{"id": 1001, "leads": [3, 1, 2]}, {"id": 1002, "leads": [1]}],
            "programs": [{"id": 7, "leads": members}, {"id": 8, "leads": [1]}],
            "campaigns": [{"id": 3746, "leads": [1]}],
        }
    )
    assert [lead.id async for lead in marketo.get_leads_by_list_id(1001, batch_size=1)] == [3, 1, 2]
    assert [each.list_id async for each in marketo.get_lists_by_lead_id(1, batch_size=1)] == [1001, 1002]
    in_program = [lead async for lead in marketo.get_leads_by_program_id(7, fields=["email"], batch_size=2)]
    assert [lead.fields for lead in in_program] == [
        {"id": number, "email": f"{number - 1}@example.com"} for number in (1, 2, 3)
    ]
    membership = in_program[0].membership
    assert membership is not None
    assert (membership.progression_status, membership.updated_at) == (
        "Visited",
        datetime(2020, 4, 21, 16, 27, 16, tzinfo=UTC),
    )
    turn = datetime(2021, 1, 1, tzinfo=UTC)
    programs = marketo.get_programs_by_lead_id(1, latest_updated_at=turn, program_ids=[7, 8])
    assert [each.id async for each in programs] == [7]
    campaigns = marketo.get_smart_campaigns_by_lead_id(1, earliest_updated_at=turn)
    assert [each.smart_campaign_id async for each in campaigns] == [3746]
    with pytest.raises(LeadNotFound):
        await marketo.get_lists_by_lead_id(99)
    with pytest.raises(NotFound):
        await marketo.get_leads_by_list_id(99)


async def test_an_iteration_continues_from_a_token_in_another_client(
    sandbox: Sandbox, marketo: MarketoClient
) -> None:
    sandbox.marketo.seed(
        {
            "leads": [{"email": f"{number}@example.com"} for number in range(10)],
            "lists": [{"id": 1, "leads": list(range(1, 11))}],
        }
    )
    first = await marketo.get_leads_by_list_id(1, batch_size=4)
    assert first.next_page_token is not None
    async with client(sandbox) as another:
        rest = another.get_leads_by_list_id(1, batch_size=4, next_page_token=first.next_page_token)
        assert [lead.id async for lead in rest] == [5, 6, 7, 8, 9, 10]
