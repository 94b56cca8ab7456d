"""Oddities of operations, v2 and formats in the vendor's documents, numbered on from `test_quirks`."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import orjson
import pytest
from attrs import evolve

from publitrac_async import (
    ConfigurationError,
    Lead,
    LeadNotFound,
    PublitracClient,
    PublitracError,
    RateLimited,
    RetryPolicy,
    ServerError,
    UnexpectedContent,
    ValidationError,
    field,
)
from publitrac_async.converters import lead_from_wire
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1 import (
    EmailCampaign,
    FilledForm,
    Opportunity,
    Transaction,
    WebVisit,
    email_campaign_calls,
)
from publitrac_async.v2 import codec, responses
from publitrac_async.v2.operations import DELAYED_SYNC, GET_TOKEN
from tests.support.v1 import DONE, EMAIL, LEAD, ONE_LEAD, response, sample, v1

MAIL = EmailCampaign(name="n", from_name="f", from_email=EMAIL, subject="s", text="t")


async def test_26_addresses_are_limited_in_histories_only():
    fits, too_long = "é" * 37 + "@example.com", "é" * 38 + "@example.com"
    assert (len(fits), len(too_long)) == (49, 50)
    async with v1() as (client, service):
        await client.sync_lead(Lead(email=too_long))
        await client.add_web_visit_history(fits, WebVisit(url="/"))
        with pytest.raises(ValidationError, match="49 characters, not 50"):
            await client.add_web_visit_history(too_long, WebVisit(url="/"))
    assert len(service.sent) == 2


async def test_27_names_of_lists_and_campaigns_have_fewer_than_50_characters():
    async with v1() as (client, service):
        await client.add_leads_to_list([EMAIL], "n" * 49)
        with pytest.raises(ValidationError, match="listName: at most 49"):
            await client.add_leads_to_list([EMAIL], "n" * 50)
        with pytest.raises(ValidationError, match="name: at most 49"):
            await client.add_email_campaign(evolve(MAIL, name="n" * 50), [LEAD])
        await client.add_email_campaign(evolve(MAIL, name="n" * 49), [LEAD])
    assert len(service.sent) == 2


async def test_28_an_e_mail_campaign_takes_50_leads_a_call():
    leads = [Lead(email=f"lead{number}@example.com") for number in range(51)]
    async with v1() as (client, service):
        with pytest.raises(ValidationError, match="leads: at most 50 items, not 51"):
            await client.add_email_campaign(MAIL, leads)
        assert service.sent == []
        for receivers in email_campaign_calls(leads):
            await client.add_email_campaign(MAIL, receivers)
    assert len(service.sent) == 2


async def test_29_execute_campaign_is_all_or_nothing():
    """Shown: if a lead or campaign does not exist, nothing is done; no error is shown."""
    body = response(status=9999, errors=["9005 - (b@example.com) Leads not found.", "no such campaign"])
    async with v1(body) as (client, service):
        with pytest.raises(ValidationError) as caught:
            await client.execute_campaign(
                emails=[f"a{n}@example.com" for n in range(500)], campaigns=["A", "B"]
            )
    assert len(service.sent) == 1
    assert [(p.code, p.value, p.text) for p in caught.value.problems] == [
        (9005, "b@example.com", "(b@example.com) Leads not found."),
        (None, None, "no such campaign"),
    ]
    assert not caught.value.maybe_applied


async def test_30_add_leads_to_list_may_have_added_the_others():
    async with v1(sample("v1/add_leads_to_list_failed_response.xml")) as (client, _):
        with pytest.raises(LeadNotFound) as caught:
            await client.add_leads_to_list(["someone1@gmail.com", "someone2@gmail.com", EMAIL], "maListe")
    assert [p.value for p in caught.value.problems] == ["someone1@gmail.com", "someone2@gmail.com"]
    assert caught.value.maybe_applied


async def test_31_sync_lead_takes_one_lead_though_its_message_has_several():
    async with v1(sample("v1/sync_lead_response.xml")) as (client, service):
        assert await client.sync_lead(LEAD) is None
    assert [element[0] for element in service.last.document[2]] == ["lead"]


async def test_32_options_are_true_or_1_and_left_out_otherwise():
    lead = Lead(email=EMAIL, token="_nl-x")
    async with v1() as (client, service):
        await client.sync_lead(lead, use_token=True)
        await client.sync_lead(lead, merge_anonymous=True)
        await client.sync_lead(lead, use_token=False, merge_anonymous=False)
    options = [[part[:2] for part in sent.document[2][:-1]] for sent in service.sent]
    assert options == [[("useToken", "true")], [("mergeAnonymous", "1")], []]


async def test_33_what_is_described_nowhere_can_be_called_raw():
    xml = "<request><queries><or><query/></or></queries></request>"
    async with v1(sample("v1/get_leads_response.xml")) as (client, service):
        content = await client.call("getLeads", {"page": "1"}, xml, verb="GET")
    assert content["leads"]["lead"][0]["id"] == "470"
    assert service.last.query["query"] == xml
    deal_of = Opportunity(
        id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["CRM_ID134"]
    )
    async with v1() as (client, service):
        await client.sync_opportunity(deal_of)  # `leadId` is the crmLeadId of a lead.
    assert service.last.document[2][0][2][-1] == ("leads", "", [("leadId", "CRM_ID134", [])])


async def test_34_a_transaction_has_no_url_no_credentials_and_only_texts():
    async with v1(httpx.Response(200)) as (client, service):
        with pytest.raises(TypeError):
            await client.add_transaction(Transaction(id="1"), token="t", email=EMAIL)
        await client.add_transaction(
            Transaction(id=1000, total=40), url="https://shop.example/t", token="accountToken", email=EMAIL
        )
    content = json.loads(service.last.form["transaction"])
    assert content == {"id": "1000", "token": "accountToken", "email": EMAIL, "total": "40"}
    assert service.last.form.keys() == {"transaction", "token", "email"}
    assert service.last.query == {}


def test_35_the_samples_of_v2_are_no_json():
    for name in ("get_token_response", "delayed_sync_response", "delayed_sync_request"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(sample(f"v2/{name}.txt"))
    assert responses.read_accepted(ServiceResponse(200, sample("v2/delayed_sync_response.txt"))).code == 200
    assert (
        responses.read_token(ServiceResponse(200, sample("v2/get_token_response.txt")))[0].reveal()
        == "djs4fdn4dJTer489!"
    )
    with pytest.raises(UnexpectedContent):
        responses.read_accepted(ServiceResponse(200, b"?{'status': 'success', 'code': 200}}"))


@pytest.mark.parametrize(
    ("ttl", "seconds"), [('"900"', 900), ('"60"', 60), ("60", 60), ('"soon"', 900), ("null", 900)]
)
def test_36_the_life_of_a_token_is_text(ttl, seconds):
    assert (
        responses.read_token(ServiceResponse(200, f'{{"token": "t", "ttl": {ttl}}}'.encode()))[1] == seconds
    )


def test_37_paths_lack_v2_in_older_pages():
    assert (GET_TOKEN.path, DELAYED_SYNC.path) == ("/v2/auth/getToken", "/v2/lead/delayedSync")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"status": "error", "code": 400}),
        (200, {"status": "success", "code": 500}),
        (200, {"status": "failed", "code": 200}),
        (200, {"status": "success"}),
        (500, {"status": "success", "code": 200}),
        (404, {"status": "success", "code": 200}),
    ],
)
def test_38_always_accepted_is_not_taken_on_trust(status, body):
    with pytest.raises(PublitracError):
        responses.read_accepted(ServiceResponse(status, orjson.dumps(body)))


def test_39_and_40_the_keys_of_v2():
    """ "LeadCustomFields" in the text, `leadCustomField` in the samples. A known client sends `Email`."""
    body = orjson.loads(codec.lead_body(Lead(email=EMAIL, custom_fields={"a": "1"})))
    assert body == {"leadInfo": {"email": EMAIL}, "leadCustomField": {"a": "1"}}


async def test_41_and_42_execute_campaign_has_no_e_mail_of_its_own():
    """Shown in comparisons of versions: `<email>` under `<campaigns>`, a parameter `email`."""
    async with v1(sample("v1/execute_campaign_response.xml")) as (client, service):
        await client.execute_campaign(emails=[EMAIL], campaigns=["Trade Show May"])
    assert service.last.parameters == {}
    leads, campaigns = service.last.document[2]
    assert leads == ("leads", "", [("lead", "", [("email", EMAIL, [])])])
    assert campaigns == ("campaigns", "", [("campaign", "", [("name", "Trade Show May", [])])])


async def test_43_sections_of_text_are_padded_with_blank_lines():
    text = "Firstname: Claude\n\nLastname: Sage"
    async with v1() as (client, service):
        await client.add_fill_form_history(EMAIL, FilledForm(form_name="Infolettre", values=text))
    assert f"<values>{text}</values>" in service.last.form["query"]


async def test_44_xml_has_to_be_encoded_correctly():
    hard = "<b>R&D</b> ]]> \"x\" 'y' é\n\t😀"
    async with v1(response(status=9018, errors=["9011 - Invalid XML"])) as (client, service):
        with pytest.raises(ValidationError) as caught:
            await client.sync_lead(Lead(email=EMAIL, notes=hard))
        assert (caught.value.code, service.last.document[2][0][2][1]) == (9011, ("notes", hard, []))
        with pytest.raises(ValidationError, match="notes"):
            await client.sync_lead(Lead(email=EMAIL, notes="\x00"))
    assert len(service.sent) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Service unavailable",
        b"<!DOCTYPE html><html></html>",
        b"<html><body>Login</body></html>",
        b"<response></response>",
        b"<response><message>ok</message></response>",
        b'{"status": 2006}',
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
    ],
)
async def test_45_a_body_that_is_not_a_response_is_not_success(body):
    async with v1(body) as (client, service):
        with pytest.raises(UnexpectedContent):
            await client.sync_lead(LEAD)
    assert len(service.sent) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_45_reads_and_upserts_are_retried_after_a_busy_response_and_appends_are_not(status):
    busy = httpx.Response(status, headers={"retry-after": "0"})
    policy = RetryPolicy(base=0, throttle_base=0)
    async with v1(busy, ONE_LEAD, retry=policy) as (client, service):
        assert (await client.get_lead(EMAIL)).id == 7
        assert len(service.sent) == 2
    async with v1(busy, DONE, retry=policy) as (client, service):
        if status == 429:  # Refused because of the rate limit, so not executed.
            await client.add_web_visit_history(EMAIL, WebVisit(url="/"))
        else:
            with pytest.raises(ServerError):
                await client.add_web_visit_history(EMAIL, WebVisit(url="/"))
    assert len(service.sent) == (2 if status == 429 else 1)
    async with v1(httpx.Response(429)) as (client, _):
        with pytest.raises(RateLimited):
            await client.get_lead(EMAIL)


def test_46_empty_elements_are_written_in_two_ways():
    from publitrac_async.v1.reading import read_response

    body = b"<response><a></a><b/><c> \n </c></response>"
    assert run_steps(read_response(ServiceResponse(200, body))).children == {"a": "", "b": "", "c": ""}
    assert lead_from_wire({"score": "", "firstName": "", "isCustomer": ""}) == Lead(
        score=None, first_name="", is_customer=None
    )


def test_times_are_utc_as_far_as_the_samples_tell():
    """Shown: a token with milliseconds since the epoch, and the creation date of the lead that has it."""
    lead = lead_from_wire(
        {"createdDate": "2010-08-23 01:35:13", "token": "_nl-publipage.com-1282527313351-84730"}
    )
    seconds = int(lead.token.split("-")[2]) // 1000
    assert datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) == lead.created_date


def test_a_key_of_any_length_is_accepted():
    """Shown: a key whose last group has eleven characters."""
    asyncio.run(PublitracClient(api_key="1234e567-890c-123e-4567-8901b234c56").aclose())
    with pytest.raises(ConfigurationError):
        PublitracClient(api_key="")


async def test_the_query_language_is_like_and_whatever_the_service_takes():
    async with v1(sample("v1/get_leads_response.xml")) as (client, service):
        await client.get_leads(field("email").like("johnsmith@%"), field("score").compare(">=", "50"))
    operators = [query[2][1][1] for query in service.last.document[2][0][2]]
    assert operators == ["like", ">="]
