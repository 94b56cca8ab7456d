"""The documents' samples through client and sandbox, over a socket.

Both were written from the documents alone. A sample response is read by the client; then the sandbox is given
what the sample shows and asked the same: the client has to read the same from it. A sample request is made
by the client's own functions; then the sandbox has to hold what the sample says.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import date
from typing import Any

import pytest

from publitrac_async import Lead, LeadNotFound, field
from publitrac_async.converters import lead_from_wire
from publitrac_async.sandbox import Sandbox
from publitrac_async.v1 import (
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    Transaction,
    TransactionItem,
    WebVisit,
)
from tests.integration.v1.conftest import emulated
from tests.support.v1 import sample
from tests.support.v1 import v1 as responding

EMAIL = "johnsmith@mydomain.com"


def shown(name: str) -> ET.Element:
    """A sample, repaired if its last tag is missing."""
    body = sample(f"v1/{name}.xml")
    return ET.fromstring(body if b"</re" in body[-20:] else body + b"</response>")


def fields(element: ET.Element, tag: str) -> list[dict[str, str]]:
    """The flat records of that name."""
    return [{child.tag: (child.text or "").strip() for child in record} for record in element.iter(tag)]


def seed_leads(sandbox: Sandbox, name: str) -> list[str]:
    leads = fields(shown(name), "lead")
    sandbox.seed(leads=leads)
    return [lead["email"] for lead in leads]


def request_lead() -> dict[str, Any]:
    """The lead of syncLead's sample, flat."""
    (lead,) = fields(shown("sync_lead_request"), "lead")
    custom = fields(shown("sync_lead_request"), "customFields")[0]
    del lead["customFields"]
    return lead | custom


class TestResponses:
    async def test_get_leads_equals_the_documented_response(self, sandbox, client):
        seed_leads(sandbox, "get_leads_response")
        conditions = [
            field("firstName").like("john"),
            field("lastName").like("smith"),
            field("email").like("johnsmith@%"),
        ]
        async with responding(sample("v1/get_leads_response.xml")) as (documented, _):
            expected = await documented.get_leads(*conditions)
        assert await client.get_leads(*conditions) == expected
        assert await client.get_leads() == expected

    async def test_get_lead_equals_the_documented_response(self, sandbox, client):
        (email,) = seed_leads(sandbox, "get_lead_response")
        async with responding(sample("v1/get_lead_response.xml")) as (documented, _):
            expected = await documented.get_lead(email)
        assert await client.get_lead(email) == expected

    async def test_get_lead_by_external_id(self, sandbox, client):
        (lead,) = fields(shown("get_lead_by_external_id_response"), "lead")
        sandbox.seed(leads=[lead | {"crmLeadId": "123ABC"}])
        async with responding(sample("v1/get_lead_by_external_id_response.xml")) as (documented, _):
            expected = await documented.get_lead_by_external_id("123ABC")
        expected.crm_lead_id = "123ABC"  # The sample shows an empty one, and could not have been found by it.
        assert await client.get_lead_by_external_id("123ABC") == expected

    async def test_get_view_equals_the_documented_response(self, sandbox, client):
        (email,) = seed_leads(sandbox, "get_view_response")
        queries = [{"field": "email", "operator": "like", "value": email}]
        sandbox.seed(views=[{"name": "PromoABC_Email_Open", "queries": queries}])
        async with responding(sample("v1/get_view_response.xml")) as (documented, _):
            expected = await documented.get_view("PromoABC_Email_Open")
        assert await client.get_view("PromoABC_Email_Open") == expected

    @pytest.mark.parametrize("unclosed", [False, True])
    async def test_get_list_equals_the_documented_response(self, unclosed):
        async with emulated(get_list_unclosed=unclosed) as (client, sandbox):
            emails = seed_leads(sandbox, "get_list_response")
            sandbox.seed(lists=[{"name": "Imported2012", "leads": emails}])
            async with responding(sample("v1/get_list_response.xml")) as (documented, _):
                expected = await documented.get_list("Imported2012")
            assert await client.get_list("Imported2012") == expected

    async def test_get_campaigns_equals_the_documented_response(self, sandbox, client):
        sandbox.seed(campaigns=fields(shown("get_campaigns_response"), "campaign"))
        async with responding(sample("v1/get_campaigns_response.xml")) as (documented, _):
            expected = [campaign async for campaign in documented.get_campaigns()]
        assert [campaign async for campaign in client.get_campaigns()] == expected

    async def test_get_opportunities_equals_the_documented_response(self, sandbox, client):
        sandbox.seed(opportunities=fields(shown("get_opportunities_response"), "opportunity"))
        async with responding(sample("v1/get_opportunities_response.xml")) as (documented, _):
            expected = await documented.get_opportunities()
        assert await client.get_opportunities() == expected

    async def test_add_leads_to_list_of_unknown_leads(self, client):
        emails = ["someone1@gmail.com", "someone2@gmail.com"]
        async with responding(sample("v1/add_leads_to_list_failed_response.xml")) as (documented, _):
            with pytest.raises(LeadNotFound) as expected:
                await documented.add_leads_to_list(emails, "maListe")
        with pytest.raises(LeadNotFound) as caught:
            await client.add_leads_to_list(emails, "maListe")
        assert [(p.code, p.field, p.value) for p in caught.value.problems] == [
            (p.code, p.field, p.value) for p in expected.value.problems
        ]
        assert (caught.value.code, caught.value.status) == (expected.value.code, 200)


class TestRequests:
    async def test_sync_lead_stores_the_documented_lead(self, sandbox, client):
        flat = request_lead()
        lead = lead_from_wire(flat)
        assert lead.unparsed == {}
        await client.sync_lead(lead, use_token=True)
        stored = sandbox.lead(EMAIL)
        assert stored is not None
        assert {name: stored[name].strip() for name in flat} == flat
        found = await client.get_lead(EMAIL)
        assert found.custom_fields == {"carColor": "Red", "carMaker": "Infiniti"}
        assert (found.score, found.revenue, found.is_customer) == (90, 400000, False)
        # The second time it is found by its token and changed.
        await client.sync_lead(Lead(email="john@new.example", token=flat["token"]), use_token=True)
        assert [lead["email"] for lead in sandbox.leads()] == ["john@new.example"]

    async def test_add_leads_to_list(self, sandbox, client):
        emails = [lead["email"] for lead in fields(shown("add_leads_to_list_request"), "lead")]
        sandbox.seed(leads=[{"email": email} for email in emails])
        await client.add_leads_to_list(emails, "maListe")
        assert sandbox.contents()["lists"] == [{"name": "maListe", "leads": emails}]
        assert [lead.email async for lead in client.get_list("maListe")] == emails

    @pytest.mark.parametrize(
        ("method", "kind"),
        [("add_web_visit_history", WebVisit), ("add_click_link_history", ClickLink)],
    )
    async def test_visits_and_clicks(self, sandbox, client, method, kind):
        sandbox.seed(leads=[{"email": EMAIL}])
        (entry,) = shown(f"{method}_request")
        values = {child.tag: child.text for child in entry}
        names = {"userAgent": "user_agent", "sessionId": "session_id"}
        await getattr(client, method)(
            EMAIL, kind(**{names.get(tag, tag): text for tag, text in values.items()})
        )
        (stored,) = sandbox.contents()["history"]
        assert values.items() <= stored["fields"].items()
        assert (stored["email"], stored["type"]) == (EMAIL, entry.tag)

    async def test_a_form_stores_the_documented_entry(self, sandbox, client):
        sandbox.seed(leads=[{"email": EMAIL}], forms=["Infolettre"])
        (entry,) = shown("add_fill_form_history_request")
        values = {child.tag: (child.text or "").strip() for child in entry}
        form = FilledForm(
            information=values["information"],
            context=values["context"],
            form_name=values["formName"],
            url=values["url"],
            values=values["values"],
            session_id=values["sessionId"],
        )
        await client.add_fill_form_history(EMAIL, form)
        (stored,) = sandbox.contents()["history"]
        assert {name: text.strip() for name, text in stored["fields"].items()} == values

    @pytest.mark.parametrize(
        ("name", "closed"),
        [
            ("sync_opportunity_request", date(2012, 8, 20)),
            ("sync_opportunity_annex_request", date(2010, 10, 10)),
        ],
    )
    async def test_sync_opportunity_stores_the_documented_opportunity(self, sandbox, client, name, closed):
        (values,) = fields(shown(name), "opportunity")
        leads = [lead.text for lead in shown(name).iter("leadId")]
        sandbox.seed(leads=[{"email": EMAIL, "crmLeadId": leads[0]}])
        deal = Opportunity(
            id=values["id"],
            name=values["name"],
            description=values["description"],
            type=values["type"],
            account_name=values["accountName"],
            sales_stage=values["salesStage"],
            campaign_name=values["campaignName"],
            lead_source=values["leadSource"],
            amount=int(values["amount"]),
            date_closed=closed,
            probability=int(values["probability"]),
            leads=leads,
        )
        for _ in range(2):  # The second time it is known, and updated.
            await client.sync_opportunity(deal)
        (record,) = (await client.get_opportunities()).items
        assert (record.external_id, record.name, record.description) == (deal.id, deal.name, deal.description)
        assert (record.opportunity_type, record.account_name) == (deal.type, deal.account_name)
        assert (record.sales_stage, record.campaign_name) == (deal.sales_stage, deal.campaign_name)
        assert (record.lead_source, record.amount) == (deal.lead_source, deal.amount)
        assert (record.date_closed, record.probability) == (closed, 100)
        assert (record.unparsed, record.other_fields) == ({}, {})

    async def test_execute_campaign_adds_the_documented_leads(self, sandbox, client):
        emails = [lead["email"] for lead in fields(shown("execute_campaign_request"), "lead")]
        names = [campaign["name"] for campaign in fields(shown("execute_campaign_request"), "campaign")]
        sandbox.seed(leads=[{"email": email} for email in emails], campaigns=names)
        await client.execute_campaign(emails=emails, campaigns=names)
        (campaign,) = sandbox.contents()["campaigns"]
        assert campaign["entries"] == emails

    async def test_add_email_campaign(self, sandbox, client):
        request = shown("add_email_campaign_request")
        custom = fields(request, "customFields")
        leads = [
            lead_from_wire({name: value for name, value in lead.items() if name != "customFields"} | extra)
            for lead, extra in zip(fields(request, "lead"), custom, strict=True)
        ]

        def text(path: str) -> str:
            return (request.findtext(path) or "").strip()

        campaign = EmailCampaign(
            name=text("information/name"),
            from_name=text("email/fromName"),
            from_email=text("email/fromEmail"),
            subject=text("email/subject"),
            html=text("email/message/html"),
            text=text("email/message/text"),
            send_as_sales_rep=False,
        )
        await client.add_email_campaign(campaign, leads)
        contents = sandbox.contents()
        assert [lead["email"] for lead in contents["leads"]] == [lead.email for lead in leads]
        assert contents["leads"][0]["GamePreferences"] == "Action"
        (made,) = contents["campaigns"]
        assert (made["Name"], made["entries"]) == (campaign.name, [lead.email for lead in leads])
        sent = json.dumps(contents["emails"], ensure_ascii=False)
        for part in (
            campaign.from_name,
            campaign.from_email,
            campaign.subject,
            "Hello {{FirstName;Default=}}.",
        ):
            assert part in sent

    async def test_a_transaction_stores_the_documented_purchase(self, sandbox, client):
        shown_transaction = json.loads(sample("v1/transaction.json"))
        email = shown_transaction["email"]
        sandbox.seed(leads=[{"email": email}])
        names = ("id", "type", "total", "tax", "shipping", "info", "currency")
        transaction = Transaction(
            **{name: shown_transaction[name] for name in names},
            items=[TransactionItem(**item) for item in shown_transaction["items"]],
        )
        url = sandbox.base_url + sandbox.settings.transaction_path
        for _ in range(2):  # "can be updated as they evolve"
            await client.add_transaction(transaction, url=url, token="accountToken", email=email)
        (stored,) = sandbox.contents()["transactions"]
        del shown_transaction["token"]  # A credential, which the sandbox does not show.
        assert {name: stored.get(name) for name in shown_transaction} == shown_transaction
        assert sandbox.journal.arrivals[-1].method == "transaction"
