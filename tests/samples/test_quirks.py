"""Oddities in the vendor's documents, numbered, and how the client handles each.

"shown" in a docstring quotes a page of the documents; the test has what the client does.
"""

# ruff: noqa: DTZ001  (the vendor's times have no zone)

from __future__ import annotations

import json
import logging
from datetime import date, datetime

import httpx
import pytest

from publitrac_async import (
    BASE_URL,
    CANADIAN_BASE_URL,
    UNSET,
    Lead,
    LeadNotFound,
    NotFound,
    PublitracClient,
    RetryPolicy,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.config import CALLS_PER_SECOND
from publitrac_async.converters import lead_from_wire, lead_to_wire
from publitrac_async.v1 import Code, Opportunity
from tests.support.v1 import EMAIL, LEAD, ONE_LEAD, response, sample, v1

DEAL = Opportunity(id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["a"])


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
