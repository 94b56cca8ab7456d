"""What is odd in the vendor's documents, numbered, and what the client makes of each.

"shown" in a docstring is what a page of the documents has; what the client does is in the test.
"""

# ruff: noqa: DTZ001  (the vendor's times have no zone)

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, date, datetime

import httpx
import orjson
import pytest
from attrs import evolve

from publitrac_async import (
    BASE_URL,
    CANADIAN_BASE_URL,
    UNSET,
    ConfigurationError,
    Lead,
    LeadNotFound,
    NotFound,
    PublitracClient,
    PublitracError,
    RateLimited,
    RetryPolicy,
    ServerError,
    UnexpectedContent,
    ValidationError,
    field,
)
from publitrac_async.config import CALLS_PER_SECOND
from publitrac_async.converters import lead_from_wire, lead_to_wire
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import at_once
from publitrac_async.v1 import (
    Code,
    EmailCampaign,
    FilledForm,
    Opportunity,
    Transaction,
    WebVisit,
    email_campaign_calls,
)
from publitrac_async.v2 import codec, responses
from publitrac_async.v2.operations import DELAYED_SYNC, GET_TOKEN
from tests.support.v1 import DONE, response, sample, v1

EMAIL = "ada@example.com"
LEAD = Lead(email=EMAIL)
MAIL = EmailCampaign(name="n", from_name="f", from_email=EMAIL, subject="s", text="t")
DEAL = Opportunity(id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["a"])
ONE_LEAD = response(f"<leads><lead><id>7</id><email>{EMAIL}</email></lead></leads>", status=2002)


@pytest.mark.parametrize("spelling", ["apikey", "apiKey"])
async def test_01_the_key_is_spelt_in_two_ways(spelling):
    async with v1(ONE_LEAD, api_key_parameter=spelling) as (client, service):
        await client.get_lead(EMAIL)
    assert [name for name in service.last.query if name.lower() == "apikey"] == [spelling]
    async with v1(ONE_LEAD) as (client, service):
        await client.get_lead(EMAIL)
    assert "apikey" in service.last.query


async def test_02_the_password_is_called_mot_de_passe_in_the_table():
    async with v1(ONE_LEAD) as (client, service):
        await client.get_lead(EMAIL)
    assert service.last.query["password"] == "the-password"


async def test_03_credentials_are_in_the_url_and_show_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    async with v1(httpx.Response(500), retry=RetryPolicy(attempts=2, base=0)) as (client, _):
        with pytest.raises(ServerError) as caught:
            await client.get_lead(EMAIL)
    shown = caplog.text + str(caught.value) + repr(caught.value) + repr(vars(caught.value))
    assert not any(secret in shown for secret in ("the-key", "the-user", "the-password", EMAIL))


def test_04_the_rate_is_35_a_second_though_older_pages_say_50_and_the_lexicon_30_a_minute():
    assert CALLS_PER_SECOND == 35
    PublitracClient(api_key="k", rate_limit=30)
    PublitracClient(api_key="k", rate_limit=None)


async def test_05_there_is_a_canadian_host():
    assert (BASE_URL, CANADIAN_BASE_URL) == ("https://app.publitrac.com", "https://appca.publitrac.com")
    async with v1(ONE_LEAD, base_url=CANADIAN_BASE_URL) as (client, service):
        await client.get_lead(EMAIL)
    assert service.last.host == "appca.publitrac.com"


def test_06_minutes_are_written_ii_in_one_place_and_mm_in_another():
    moment = datetime(2014, 1, 28, 2, 4, 1)
    native, _ = lead_to_wire(Lead(email=EMAIL, date_of_birth=moment), "syncLead")
    assert native["dateOfBirth"] == "2014-01-28 02:04:01"
    assert lead_from_wire({"createdDate": "2014-01-28 02:04:01"}).created_date == moment


async def test_07_dates_of_zeros_are_none():
    async with v1(sample("v1/get_opportunities_response.xml")) as (client, _):
        (deal,) = (await client.get_opportunities()).items
    assert b"0000-00-00 00:00:00" in sample("v1/get_opportunities_response.xml")
    assert (deal.created_date, deal.last_updated, deal.unparsed) == (None, None, {})
    lead = lead_from_wire(
        {"createdDate": "0000-00-00", "lastUpdated": "", "dateOfBirth": "0000-00-00 00:00:00"}
    )
    assert (lead.created_date, lead.last_updated, lead.date_of_birth) == (None, None, None)


async def test_08_an_opportunity_is_closed_on_20_08_2012():
    assert b"20/08/2012" in sample("v1/sync_opportunity_request.xml")
    async with v1() as (client, service):
        await client.sync_opportunity(
            Opportunity(
                id="Product ABC",
                name="Promotion Product ABC",
                description="Product ABC is a revolutionary…",
                type="New Business",
                account_name="XYZ Solutions",
                sales_stage="Closed Won",
                campaign_name="LinkedIn",
                lead_source="Web",
                amount=100000,
                date_closed=date(2012, 8, 20),
                probability=100,
                leads=["ae555ecc-e998-85b9-4c9f-4c8d13581a9b"],
            )
        )
    written = json.dumps(service.last.document, ensure_ascii=False)
    assert '"dateClosed", "2012-08-20"' in written
    for closed, expected in (
        ("20/08/2012", date(2012, 8, 20)),
        ("2012-08-20", date(2012, 8, 20)),
        ("?", None),
    ):
        content = (
            f"<opportunities><opportunity><Date_Closed>{closed}</Date_Closed></opportunity></opportunities>"
        )
        async with v1(response(content)) as (client, _):
            (deal,) = (await client.get_opportunities()).items
        assert deal.date_closed == expected
        assert deal.unparsed == ({} if expected else {"Date_Closed": "?"})


async def test_09_get_list_has_no_closing_tag():
    body = sample("v1/get_list_response.xml")
    async with v1(body) as (client, _):
        assert [lead.id async for lead in client.get_list("Imported2012")] == [470]
    unframed = httpx.Response(200, stream=httpx.ByteStream(body))  # No length: the rest may be missing.
    cut = body[: body.index(b"<status>")]
    other = body.replace(b"</leads>", b"")
    for body in (unframed, cut, other):
        async with v1(body) as (client, _):
            with pytest.raises(UnexpectedContent):
                await client.get_list("Imported2012")


async def test_10_a_page_number_has_a_line_break_in_it():
    assert b"<page>1\n" in sample("v1/get_opportunities_response.xml")
    async with v1(sample("v1/get_opportunities_response.xml")) as (client, _):
        assert (await client.get_opportunities()).number == 1


async def test_11_a_source_begins_with_a_space():
    async with v1() as (client, service):
        await client.sync_lead(Lead(email=EMAIL, original_source=" New Production ABC"))
    assert "> New Production ABC<" in service.last.form["query"]
    body = response("<leads><lead><originalSource> New Production ABC</originalSource></lead></leads>")
    async with v1(body) as (client, _):
        assert (await client.get_lead(EMAIL)).original_source == "New Production ABC"


async def test_12_the_method_is_in_quotes():
    """Shown: ``method : 'getView'``."""
    async with v1(sample("v1/get_view_response.xml")) as (client, service):
        await client.get_view("PromoABC_Email_Open")
    assert service.last.query["method"] == "getView"
    assert service.last.parameters == {"viewName": "PromoABC_Email_Open"}


async def test_13_get_list_is_shown_with_a_view_name():
    async with v1(sample("v1/get_list_response.xml")) as (client, service):
        await client.get_list("Imported2012")
    assert service.last.parameters == {"listName": "Imported2012"}


@pytest.mark.parametrize("status", [2001, 2002, 2010, 5001, 1100, 1000, 5999])
async def test_14_a_status_of_success_decides_nothing(status):
    bodies = [
        response("<leads><lead><id>1</id></lead></leads>", status=status),
        response("<campaign><id>1</id></campaign>", status=status),
        response("<opportunities><opportunity><id>1</id></opportunity></opportunities>", status=status),
        response(status=status),
    ]
    async with v1(*bodies) as (client, _):
        assert (await client.get_lead(EMAIL)).id == 1
        assert (await client.get_campaigns()).items[0].id == 1
        assert (await client.get_opportunities()).items[0].id == 1
        await client.sync_lead(LEAD)


@pytest.mark.parametrize("message", ["Leads synchronization successfull.", "failed", "lead not found", ""])
async def test_15_a_message_decides_nothing(message):
    async with v1(response(status=2006, message=message)) as (client, _):
        await client.sync_lead(LEAD)


def test_16_two_constants_are_named_after_something_else():
    assert Code.INVALID_INTEGER == Code.LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE == 9006
    assert Code.INVALID_BOOLEAN == Code.LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE_TYPE == 9007
    assert Code(9006).name == "INVALID_INTEGER"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("9005 - Lead does not exist.", LeadNotFound),
        ("9005 - lead not found", LeadNotFound),
        ("9005 - Lead email address is required", ValidationError),
        ("9009 - List does not exist.", NotFound),
        ("9009 - List name is required", ValidationError),
    ],
)
async def test_17_two_codes_say_required_as_well_as_does_not_exist(line, kind):
    async with v1(response(status=9014, errors=[line])) as (client, _):
        with pytest.raises(kind) as caught:
            await client.remove_lead_from_list(EMAIL, "VIP")
    assert type(caught.value) is kind
    assert caught.value.code == int(line[:4])


async def test_18_codes_without_a_space_and_lines_without_a_code():
    lines = ["9006 -Revenue (x) must be a valid integer for (lead no email no crm id)", "lead is required"]
    async with v1(response(status=9016, errors=lines)) as (client, _):
        with pytest.raises(ValidationError) as caught:
            await client.add_lead(LEAD)
    assert [(p.code, p.field, p.value) for p in caught.value.problems] == [
        (9006, "revenue", "x"),
        (None, None, None),
    ]


async def test_19_campaigns_stand_under_response_without_paging():
    body = sample("v1/get_campaigns_response.xml")
    assert b"<paging>" not in body
    async with v1(body) as (client, service):
        assert [campaign.id async for campaign in client.get_campaigns()] == [2071, 2211]
    assert [sent.parameters for sent in service.sent] == [{}, {"page": "2"}]
    wrapped = body.replace(b"<response>", b"<response><campaigns>").replace(
        b"\t<status>", b"</campaigns><status>"
    )
    async with v1(wrapped) as (client, _):
        assert len((await client.get_campaigns()).items) == 2


async def test_20_tags_are_capitalised_and_have_underscores():
    async with v1(sample("v1/get_opportunities_response.xml")) as (client, _):
        (deal,) = (await client.get_opportunities()).items
    assert (deal.id, deal.external_id, deal.sales_stage, deal.name) == (1, "My ID", "Closed Won", "PUBLITRAC")


async def test_21_opportunities_are_those_of_the_account():
    """Shown: "by lead", without a parameter for it."""
    async with v1(sample("v1/get_opportunities_response.xml")) as (client, service):
        await client.get_opportunities()
        with pytest.raises(TypeError):
            client.get_opportunities(EMAIL)
    assert service.last.parameters == {}


@pytest.mark.parametrize(
    ("offset", "total", "pages"),
    [
        ("100", "250", 3),
        ("200", "200", 1),
        ("0", "5", None),
        ("", "5", None),
        ("100", "", None),
        ("100", "0", 0),
    ],
)
async def test_22_offset_is_the_size_of_a_page(offset, total, pages):
    paging = f"<paging><page>1</page><offset>{offset}</offset><total>{total}</total></paging>"
    leads = "<leads/>" if total == "0" else "<leads><lead><id>1</id></lead></leads>"
    async with v1(response(leads + paging)) as (client, _):
        assert (await client.get_leads()).pages == pages


async def test_23_custom_fields_are_nested_on_the_way_out_and_flat_on_the_way_back():
    async with v1() as (client, service):
        await client.sync_lead(Lead(email=EMAIL, custom_fields={"carColor": "Red"}))
    assert service.last.document[2][0][2][-1] == ("customFields", "", [("carColor", "Red", [])])
    async with v1(sample("v1/get_lead_response.xml")) as (client, _):
        assert (await client.get_lead(EMAIL)).custom_fields == {"someCustomField": "custom value"}


async def test_24_two_fields_are_never_returned():
    async with v1(sample("v1/get_lead_response.xml")) as (client, _):
        lead = await client.get_lead(EMAIL)
    assert (lead.lead_source, lead.unsubscribe_reason) == (UNSET, UNSET)


@pytest.mark.parametrize("country", ["CA", "USA", "Canada", ""])
async def test_25_countries_are_codes_by_the_annex_and_names_in_the_samples(country):
    async with v1() as (client, service):
        await client.sync_lead(Lead(email=EMAIL, country=country))
    assert ("country", country, []) in service.last.document[2][0][2]


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
        with pytest.raises(ValidationError, match="leads: at most 50 of them, not 51"):
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
        await client.sync_opportunity(deal_of)  # `leadId` is what a lead has as crmLeadId.
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
        if status == 429:  # Refused for its pace, so it was not executed.
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
    assert at_once(read_response(ServiceResponse(200, body))).children == {"a": "", "b": "", "c": ""}
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
