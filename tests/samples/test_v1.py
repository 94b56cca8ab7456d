# ruff: noqa: DTZ001  (the vendor's times have no zone)
"""Every sample of the v1 page, through the client: responses read, requests written."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from attrs import evolve

from publitrac_async import Lead, LeadNotFound, field
from publitrac_async.v1 import (
    Campaign,
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    WebVisit,
)
from tests.support.v1 import sample, tree, v1

JOHN = Lead(
    id=470,
    first_name="John",
    last_name="Smith",
    middle_name="",
    company="PUBLIPAGE",
    phone="555-555-2149",
    email="johnsmith@publipage.com",
    mailing_address="",
    original_source="Google",
    original_source_type="Organic Search",
    keyword="marketing automation",
    job_title="",
    date_of_birth=None,
    status="Active",
    score=0,
    postal_code="",
    country="",
    city="",
    state="",
    do_not_call=False,
    do_not_call_reason="",
    token="_nl-publipage.com-1282527313351-84730",
    unsubscribed=False,
    unsubscribe_cause="",
    fax="",
    mobile="",
    is_customer=False,
    is_anonymous=False,
    email_invalid=False,
    email_invalid_cause="",
    notes="",
    suspended=False,
    suspended_reason="",
    blacklisted=False,
    blacklisted_cause="",
    customer_id="",
    website="",
    language="",
    nbr_employees=None,
    revenue=None,
    crm_lead_id="5564344",
    created_date=datetime(2015, 8, 23, 1, 35, 13),
    last_updated=datetime(2015, 10, 25, 2, 20, 6),
    custom_fields={"someCustomField": "my custom field"},
)
#: The same lead in the samples of getView and getList.
LISTED_JOHN = evolve(
    JOHN,
    phone="514-555-2149",
    crm_lead_id="5e0ff332-090c-b97d-6325-4c786a68e9a7",
    created_date=datetime(2010, 8, 23, 1, 35, 13),
    last_updated=datetime(2010, 10, 25, 2, 20, 6),
)
MONTREAL_JOHN = evolve(
    JOHN,
    id=26005,
    company="PUBLITRAC",
    phone="514-555-2149",
    email="johnsmith@publitrac.com",
    mailing_address="123 Street",
    original_source="New Lead",
    original_source_type="Manual",
    keyword="Marketing Automation Solution",
    postal_code="J4W 1Z1",
    country="Canada",
    city="Montreal",
    state="Quebec",
    token="",
    crm_lead_id="",
    created_date=datetime(2010, 6, 4, 15, 58, 37),
    last_updated=datetime(2010, 6, 4, 15, 58, 37),
    custom_fields={"someCustomField": "custom value"},
)


async def test_get_leads_sends_and_reads_the_documented_sample():
    async with v1(sample("v1/get_leads_response.xml")) as (client, service):
        page = await client.get_leads(
            field("firstName").like("john"),
            field("lastName").like("smith"),
            field("email").like("johnsmith@%"),
        )
    assert page.items == (JOHN,)
    assert (page.number, page.size, page.total, page.pages) == (1, 100, 1, 1)
    assert service.last.document == tree(sample("v1/get_leads_request.xml"))
    assert (service.last.verb, service.last.query["method"]) == ("GET", "getLeads")


async def test_get_leads_without_conditions_asks_for_all():
    async with v1(sample("v1/get_leads_response.xml")) as (client, service):
        assert [lead async for lead in client.get_leads()] == [JOHN]
    assert service.last.document == tree(sample("v1/get_leads_all_request.xml"))


async def test_get_lead_sends_and_reads_the_documented_sample():
    async with v1(sample("v1/get_lead_response.xml")) as (client, service):
        assert await client.get_lead("johnsmith@publitrac.com") == MONTREAL_JOHN
    assert service.last.query == {
        "method": "getLead",
        "apikey": "the-key",
        "username": "the-user",
        "password": "the-password",
        "email": "johnsmith@publitrac.com",
    }


async def test_get_lead_by_external_id():
    async with v1(sample("v1/get_lead_by_external_id_response.xml")) as (client, service):
        assert await client.get_lead_by_external_id("123ABC") == MONTREAL_JOHN
    assert service.last.query["method"] == "getLeadByExternalId"
    assert service.last.parameters == {"externalId": "123ABC"}


@pytest.mark.parametrize(("name", "parameter"), [("get_view", "viewName"), ("get_list", "listName")])
async def test_get_view_and_get_list(name, parameter):
    async with v1(sample(f"v1/{name}_response.xml")) as (client, service):
        page = await getattr(client, name)("Imported2012")
    assert page.items == (LISTED_JOHN,)
    assert (page.number, page.size, page.total) == (1, 100, 1)
    assert service.last.parameters == {parameter: "Imported2012"}


async def test_sync_lead_sends_and_reads_the_documented_sample():
    lead = Lead(
        token="_nl-yourdomain.com-1323891914130-53205",
        crm_lead_id="CRM_ID134",
        first_name="John",
        last_name="Smith",
        middle_name="",
        company="ACME",
        phone="555-423-2453",
        email="johnsmith@mydomain.com",
        mailing_address="134 Ocean Street",
        lead_source="New Production ABC",
        original_source=" New Production ABC",
        original_source_type="Organic",
        job_title="Software Engineer",
        score=90,
        postal_code="90211",
        country="USA",
        city="Compton",
        state="CA",
        do_not_call=False,
        do_not_call_reason="",
        unsubscribed=False,
        unsubscribe_cause="",
        unsubscribe_reason="",
        fax="555-324-2134",
        mobile="555-432-1242",
        is_customer=False,
        is_anonymous=False,
        email_invalid=False,
        email_invalid_cause="",
        notes="This lead is very interest in product ABC",
        suspended=False,
        suspended_reason="",
        blacklisted=False,
        blacklisted_cause="",
        customer_id="123",
        website="http://www.acme.com",
        language="fr",
        nbr_employees=4,
        revenue=400000,
        custom_fields={"carColor": "Red", "carMaker": "Infiniti"},
    )
    async with v1(sample("v1/sync_lead_response.xml")) as (client, service):
        assert await client.sync_lead(lead, use_token=True) is None
    assert (service.last.verb, service.last.query["method"]) == ("POST", "syncLead")
    (request, _, (option, (tag, _, fields))) = service.last.document
    (expected_request, _, (expected_option, (expected_tag, _, expected))) = tree(
        sample("v1/sync_lead_request.xml")
    )
    assert (request, option, tag) == (expected_request, expected_option, expected_tag)
    assert sorted(fields) == sorted(
        expected
    )  # The order of the fields differs between the documents' samples.


async def test_add_leads_to_list():
    async with v1(sample("v1/add_leads_to_list_response.xml")) as (client, service):
        await client.add_leads_to_list(["someone@example.com", "johnsmith@mydomain.com"], "maListe")
    assert service.last.document == tree(sample("v1/add_leads_to_list_request.xml"))


async def test_add_leads_to_list_of_unknown_leads():
    async with v1(sample("v1/add_leads_to_list_failed_response.xml")) as (client, _):
        with pytest.raises(LeadNotFound) as caught:
            await client.add_leads_to_list(["someone1@gmail.com", "someone2@gmail.com", "a@example.com"], "L")
    assert [problem.value for problem in caught.value.problems] == [
        "someone1@gmail.com",
        "someone2@gmail.com",
    ]
    assert {problem.code for problem in caught.value.problems} == {9005}


VISIT = {
    "information": "/blog",
    "context": "Blog viewed",
    "url": "http://www.acme.com/blog",
    "query": "blog_post=product_abc_launch",
    "referral": "http://www.linkedin.com/home.php?udi=1",
    "ip": "71.23.75.32",
    "user_agent": "Mozilla/5.0 (Windows; U; Windows NT 6.1; es-ES; rv:1.9.1.16) "
    "Gecko/20101130 Firefox/3.5.16",
    "session_id": "2192c0f3802f8e0744e9940788121624",
}
FORM = FilledForm(
    information="Registration Form",
    context="",
    form_name="Infolettre",
    url="/infolettre.php",
    values="Firstname: Claude\n\nLastname: Sage\n\nEmail: claude@sage.com\n\nPhone: 555-666-7777",
    session_id="2192c0f3802f8e0744e9940788121624",
)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("add_web_visit_history", WebVisit(**VISIT)),
        ("add_click_link_history", ClickLink(**VISIT)),
        ("add_fill_form_history", FORM),
    ],
)
async def test_histories_send_and_read_the_documented_samples(name, record):
    async with v1(sample(f"v1/{name}_response.xml")) as (client, service):
        assert await getattr(client, name)("johnsmith@mydomain.com", record) is None
    (request, _, ((root, _, fields),)) = service.last.document
    (expected_request, _, ((expected_root, _, expected),)) = tree(sample(f"v1/{name}_request.xml"))
    assert (request, root) == (expected_request, expected_root)
    assert sorted(fields) == sorted(expected)
    assert service.last.parameters == {"email": "johnsmith@mydomain.com"}


async def test_get_campaigns_reads_the_documented_sample():
    async with v1(sample("v1/get_campaigns_response.xml")) as (client, service):
        page = await client.get_campaigns()
    assert page.items == (
        Campaign(
            id=2071,
            name="AdCenter - Drip Marketing",
            type="Paid Search",
            token="CMP-4d7147b0dd389",
            campaign_type="CAMPAIGNTRACKING",
            created_date=datetime(2011, 3, 4, 20, 12, 32),
            last_updated=datetime(2011, 12, 8, 1, 10, 14),
        ),
        Campaign(
            id=2211,
            name="AdCenter - Internet Marketing Software",
            type="Paid Search",
            token="CMP-4dc2ebfe7a3f2",
            campaign_type="CAMPAIGNTRACKING",
            created_date=datetime(2011, 5, 5, 18, 27, 10),
            last_updated=datetime(2011, 12, 8, 1, 10, 14),
        ),
    )
    assert (page.size, page.total, page.pages) == (None, None, None)
    assert service.last.query["method"] == "getCampaigns"


async def test_get_opportunities_reads_the_documented_sample():
    async with v1(sample("v1/get_opportunities_response.xml")) as (client, _):
        page = await client.get_opportunities()
    assert page.items == (
        OpportunityRecord(
            id=1,
            name="PUBLITRAC",
            description="Marketing Automation Solution",
            opportunity_type="Web",
            account_name="PUBLITRAC",
            campaign_name="Marketing Automation",
            lead_source="",
            amount=9000,
            date_closed=date(2010, 10, 10),
            sales_stage="Closed Won",
            probability=100,
            external_id="My ID",
            account="1",
            created_date=None,
            last_updated=None,
        ),
    )
    assert page.items[0].unparsed == {}
    assert (page.number, page.size, page.total) == (1, 200, 1)


ANNEX_OPPORTUNITY = Opportunity(
    id="1234abc",
    name="PUBLITRAC",
    description="Marketing Automation Solution",
    type="Web",
    account_name="PUBLITRAC",
    sales_stage="Closed Won",
    campaign_name="Webinar",
    lead_source="Web",
    amount=9000,
    date_closed=date(2010, 10, 10),
    probability=100,
    leads=["456zxy"],
)


async def test_sync_opportunity_sends_the_documented_sample():
    async with v1(sample("v1/sync_opportunity_response.xml")) as (client, service):
        assert await client.sync_opportunity(ANNEX_OPPORTUNITY) is None
    assert service.last.document == tree(sample("v1/sync_opportunity_annex_request.xml"))
    assert (service.last.verb, service.last.query["method"]) == ("POST", "syncOpportunity")


async def test_execute_campaign_sends_the_documented_sample():
    async with v1(sample("v1/execute_campaign_response.xml")) as (client, service):
        await client.execute_campaign(
            emails=["test@exemple.com", "johnsmith@acme.com"], campaigns=["Trade Show May"]
        )
    assert service.last.document == tree(sample("v1/execute_campaign_request.xml"))


async def test_add_email_campaign():
    request = sample("v1/add_email_campaign_request.xml")
    message = tree(request)[2][1][2][3][2]
    campaign = EmailCampaign(
        name="Promotion January 2014",
        from_name="PUBLITRAC",
        from_email="no-reply@publipage.com",
        subject="January Promotion",
        html=message[0][1],
        text=message[1][1],
        send_as_sales_rep=False,
    )
    leads = [
        Lead(
            first_name="John",
            last_name=last_name,
            company=company,
            phone="555-423-2453",
            email=email,
            lead_source="New Production ABC",
            original_source=" New Production ABC",
            original_source_type="Web",
            custom_fields={"GamePreferences": preferences, "GamePlayed": played},
        )
        for last_name, company, email, preferences, played in [
            ("Smith", "ACME", "jsmith@acme.com", "Action", 121),
            ("Carmack", "ID Software", "jcarmack@example.com", "Strategy", 23),
        ]
    ]
    async with v1(sample("v1/add_email_campaign_response.xml")) as (client, service):
        assert await client.add_email_campaign(campaign, leads) is None
    sent, expected = service.last.document, tree(request)
    assert sent[2][:2] == expected[2][:2]
    for written, shown in zip(sent[2][2][2], expected[2][2][2], strict=True):
        assert sorted(written[2]) == sorted(shown[2])
