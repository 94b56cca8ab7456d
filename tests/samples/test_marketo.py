"""The samples of Marketo's page: responses are read, and requests are written as shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from publitrac_async import AuthenticationError, Conflict
from publitrac_async.marketo import (
    AttributeAccess,
    FieldResult,
    LeadAttribute,
    LeadField,
    LeadFieldUpdate,
    ListMembership,
    NewLeadField,
    ProgramMembership,
    RecordResult,
    SmartCampaignMembership,
    VisitorData,
)
from publitrac_async.marketo.responses import results
from publitrac_async.marketo.structuring import structure_result
from tests.support.clock import virtual
from tests.support.marketo import response, sample, serving


@virtual
async def test_describe_reads_the_documented_response():
    async with serving(sample("describe_response")) as (marketo, _):
        assert await marketo.describe() == (
            LeadAttribute(
                id=2,
                display_name="Company Name",
                data_type="string",
                length=255,
                rest=AttributeAccess(name="company", read_only=False),
                soap=AttributeAccess(name="Company", read_only=False),
            ),
        )


@virtual
async def test_get_lead_by_id():
    async with serving(sample("get_lead_by_id_response")) as (marketo, _):
        lead = await marketo.get_lead_by_id(318581)
    assert (lead.id, lead.email, lead.first_name, lead.last_name) == (
        318581,
        "jdoe@marketo.com",
        "John",
        "Doe",
    )
    assert lead.updated_at == datetime(2015, 5, 7, 19, 47, 30, tzinfo=UTC)
    assert lead.created_at == datetime(2015, 5, 2, 0, 47, 30, tzinfo=UTC)


@virtual
async def test_get_leads_by_filter_type():
    responses = [
        sample("get_leads_by_filter_type_response"),
        sample("get_leads_by_filter_type_empty_response"),
    ]
    async with serving(*responses) as (marketo, service):
        pager = marketo.get_leads_by_filter_type("id", [318581, 318592])
        assert [lead.last_name async for lead in pager] == ["Lincoln", "Washington"]
        assert [lead async for lead in marketo.get_leads_by_filter_type("id", [1])] == []
    assert dict(service.sent[0].query) == {"filterType": "id", "filterValues": "318581,318592"}


@virtual
async def test_sync_leads_sends_and_reads_the_documented_sample():
    request = sample("sync_leads_request")
    async with serving(sample("sync_leads_response")) as (marketo, service):
        done = await marketo.sync_leads(request["input"], action="createOnly", lookup_field="email")
    assert service.sent[0].json == request
    assert done == [RecordResult(id=number, status="created") for number in (50, 51, 52)]


@virtual
async def test_get_lead_field_by_name():
    async with serving(sample("get_lead_field_by_name_response")) as (marketo, _):
        assert await marketo.get_lead_field_by_name("email") == LeadField(
            name="email",
            display_name="Email Address",
            data_type="email",
            length=255,
            is_hidden=False,
            is_html_encoding_in_email=True,
            is_sensitive=True,
            is_custom=False,
        )


@virtual
async def test_get_lead_fields():
    async with serving(sample("get_lead_fields_response")) as (marketo, service):
        fields = [field async for field in marketo.get_lead_fields()]
    assert len(service.sent) == 1
    assert len(fields) == 11
    assert (fields[0].name, fields[-1].name, fields[-1].length) == ("salutation", "unsubscribed", None)


@virtual
async def test_create_lead_fields():
    request = sample("create_lead_fields_request")
    fields = [
        NewLeadField(
            display_name=item["displayName"],
            name=item["name"],
            description=item["description"],
            data_type=item["dataType"],
        )
        for item in request["input"]
    ]
    async with serving(sample("create_lead_fields_response")) as (marketo, service):
        done = await marketo.create_lead_fields(fields)
    assert service.sent[0].json == request
    assert done == [FieldResult(name=field.name, status="created") for field in fields]


@virtual
async def test_update_lead_field():
    request = sample("update_lead_field_request")
    update = LeadFieldUpdate(
        display_name="Acme Access Code",
        description="Acme Direct Mail Integration",
        is_html_encoding_in_email=True,
    )
    async with serving(sample("update_lead_field_response")) as (marketo, service):
        done = await marketo.update_lead_field("acmeAccessCode", update)
    assert service.sent[0].json == request
    assert done == FieldResult(name="acmeAccessCode", status="updated")


@virtual
async def test_push_leads_sends_and_reads_the_documented_sample():
    request, shown = sample("push_leads_request"), sample("push_leads_response")
    # The page shows two records in the request and three in the response.
    async with serving({**shown, "result": shown["result"][:2]}) as (marketo, service):
        done = await marketo.push_leads(
            request["input"],
            program_name="Big Blue Thing Product Launch",
            source="Cool Sales Site",
            reason="Downloaded pricing sheet",
            lookup_field="email",
        )
    assert service.sent[0].json == request
    assert [(each.id, each.status) for each in done] == [(483894, "created"), (1087425, "updated")]


def test_a_record_that_push_lead_does_not_take_has_reasons_and_no_status():
    *_, failed = results(response(sample("push_leads_response")), [{}] * 3, structure_result)
    assert (failed.id, failed.status, failed.ok) == (3525, None, False)
    assert [(reason.code, reason.message) for reason in failed.reasons] == [("501", "Bad stuff happened")]
    assert failed.error is not None
    assert str(failed.error) == "refused with an unknown code (code 501)"


@virtual
async def test_push_leads_by_mail_token():
    request = sample("push_leads_token_request")
    async with serving(sample("push_leads_response") | {"result": [{"id": 1}, {"id": 2}]}) as (
        marketo,
        service,
    ):
        await marketo.push_leads(
            request["input"],
            program_name=request["programName"],
            source=request["source"],
            reason=request["reason"],
            lookup_field="mktToken",
        )
    assert service.sent[0].json == request


@virtual
async def test_submit_form_sends_and_reads_the_documented_sample():
    request = sample("submit_form_request")
    record = request["input"][0]
    visitor = record["visitorData"]
    async with serving(sample("submit_form_response")) as (marketo, service):
        done = await marketo.submit_form(
            form_id=1029,
            lead_form_fields=record["leadFormFields"],
            visitor_data=VisitorData(
                page_url=visitor["pageURL"],
                query_string=visitor["queryString"],
                lead_client_ip_address=visitor["leadClientIpAddress"],
                user_agent_string=visitor["userAgentString"],
            ),
            cookie=record["cookie"],
        )
    assert service.sent[0].json == request
    assert done == RecordResult(id=319174, status="updated")


@virtual
async def test_merge_and_associate_return_nothing():
    async with serving(sample("merge_leads_response"), sample("associate_lead_response")) as (
        marketo,
        service,
    ):
        await marketo.merge_leads(7, [1324])
        await marketo.associate_lead(7, "id:287-GTJ-838&token:_mch-marketo.com-1396310362214-46169")
    assert service.sent[0].target == "/rest/v1/leads/7/merge.json?leadId=1324"
    shown = "cookie=id:287-GTJ-838%26token:_mch-marketo.com-1396310362214-46169"
    assert service.sent[1].target.replace("%3A", ":").endswith(shown)


@virtual
async def test_get_leads_by_list_id():
    async with serving(sample("get_leads_by_list_id_response")) as (marketo, service):
        page = await marketo.get_leads_by_list_id(1001, batch_size=3)
    assert [lead.id for lead in page.items] == [50, 2343, 88498]
    assert page.items[0].fields["postalCode"] == "04828"
    assert page.next_page_token == sample("get_leads_by_list_id_response")["nextPageToken"]
    assert service.sent[0].target == "/rest/v1/list/1001/leads.json?batchSize=3"


@virtual
async def test_get_lists_by_lead_id():
    async with serving(sample("get_lists_by_lead_id_response")) as (marketo, _):
        page = await marketo.get_lists_by_lead_id(7, batch_size=3)
    moment = datetime(2016, 5, 17, 19, 32, 44, tzinfo=UTC)
    assert page.items[0] == ListMembership(list_id=3379, created_at=moment, updated_at=moment)
    assert [each.list_id for each in page.items] == [3379, 2792, 42]
    assert page.next_page_token == "BFRV7OMVSNJWDVKVTUFS3XHT4E======"


@virtual
async def test_get_leads_by_program_id():
    async with serving(sample("get_leads_by_program_id_response")) as (marketo, _):
        page = await marketo.get_leads_by_program_id(1127, batch_size=3)
    assert [lead.first_name for lead in page.items] == ["Meera", "Jon", "Lyanna"]
    moment = datetime(2020, 4, 21, 16, 27, 16, tzinfo=UTC)
    assert page.items[0].membership == ProgramMembership(
        id=1127,
        progression_status="Visited",
        progression_status_type="Visited",
        is_exhausted=False,
        acquired_by=True,
        reached_success=False,
        membership_date=moment,
        updated_at=moment,
    )
    assert "membership" not in page.items[0].fields
    assert page.next_page_token is not None


@virtual
async def test_get_programs_by_lead_id():
    async with serving(sample("get_programs_by_lead_id_response")) as (marketo, _):
        page = await marketo.get_programs_by_lead_id(7)
    assert page.next_page_token is None
    assert [(each.id, each.progression_status, each.acquired_by) for each in page.items] == [
        (1044, "Sent", False)
    ]


@virtual
async def test_get_smart_campaigns_by_lead_id():
    async with serving(sample("get_smart_campaigns_by_lead_id_response")) as (marketo, _):
        page = await marketo.get_smart_campaigns_by_lead_id(7, batch_size=3)
    assert [each.smart_campaign_id for each in page.items] == [3746, 3678, 3680]
    assert isinstance(page.items[0], SmartCampaignMembership)
    assert page.items[0].updated_at == datetime(2018, 6, 1, 18, 0, 6, tzinfo=UTC)


@virtual
async def test_delete_leads_sends_and_reads_the_documented_sample():
    async with serving(sample("delete_leads_response")) as (marketo, service):
        done = await marketo.delete_leads([235, 766])
    assert service.sent[0].json == sample("delete_leads_request")
    assert done == [RecordResult(id=235, status="deleted"), RecordResult(id=766, status="deleted")]


@virtual
async def test_the_error_of_a_whole_call():
    async with serving(sample("error_response")) as (marketo, _):
        with pytest.raises(AuthenticationError) as caught:
            await marketo.describe()
    assert caught.value.code == "601"


def test_the_error_of_a_record():
    first, _, skipped = results(response(sample("record_level_response")), [{}] * 3, structure_result)
    assert first.ok
    assert first.error is None
    assert not skipped.ok
    assert isinstance(skipped.error, Conflict)
    assert skipped.error.code == "1005"
    assert "Lead already exists" not in str(skipped.error)
