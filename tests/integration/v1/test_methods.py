"""Every method against the sandbox: state that changes, refusals, and points that documents leave open."""

from __future__ import annotations

from datetime import date

import pytest

from publitrac_async import (
    ApiError,
    AuthenticationError,
    Conflict,
    Lead,
    LeadNotFound,
    NotFound,
    PermissionDenied,
    ServerError,
    ValidationError,
    field,
)
from publitrac_async.v1 import (
    EmailCampaign,
    FilledForm,
    Opportunity,
    Transaction,
    WebVisit,
    email_campaign_calls,
)
from tests.integration.v1.conftest import emulated

EMAIL = "ada@example.com"
TOKEN = "_nl-example.com-1282527313351-84730"


def people(count: int) -> list[dict[str, str]]:
    return [{"email": f"lead{number:03}@example.com"} for number in range(count)]


class TestLeads:
    async def test_a_lead_is_added_updated_synced_and_deleted(self, client, sandbox):
        await client.add_lead(Lead(email=EMAIL, first_name="Ada", score=1, token=TOKEN, crm_lead_id="7"))
        await client.update_lead(Lead(email=EMAIL, last_name="Lovelace", is_customer=True))
        await client.sync_lead(Lead(email=EMAIL, date_of_birth=date(1815, 12, 10), notes="<b>R&D</b>\nzwei"))
        found = await client.get_lead(EMAIL)
        assert (found.first_name, found.last_name, found.score) == ("Ada", "Lovelace", 1)
        assert (found.is_customer, found.notes) == (True, "<b>R&D</b>\nzwei")
        assert found == await client.get_lead_by_token_id(TOKEN) == await client.get_lead_by_external_id(7)
        assert [lead.email async for lead in client.get_leads(field("lastName").like("love%"))] == [EMAIL]

    async def test_records_that_do_not_exist(self, client):
        for call in (
            client.get_lead(EMAIL),
            client.get_lead_by_external_id("x"),
            client.get_lead_by_token_id(TOKEN),
            client.update_lead(Lead(email=EMAIL)),
        ):
            with pytest.raises(LeadNotFound):
                await call

    async def test_nothing_may_come_as_an_empty_list(self):
        async with emulated(missing_lead_response="empty") as (client, _):
            with pytest.raises(LeadNotFound):
                await client.get_lead(EMAIL)

    async def test_records_that_exist_already(self, client):
        await client.add_lead(Lead(email=EMAIL))
        with pytest.raises(Conflict) as caught:
            await client.add_lead(Lead(email=EMAIL))
        assert (caught.value.code, caught.value.problems[0].value) == (9004, EMAIL)

    async def test_a_token_that_is_none(self, client):
        with pytest.raises(ValidationError) as caught:
            await client.get_lead_by_token_id("nonsense")
        assert caught.value.problems[0].text == "Tok Id is invalid"

    async def test_fields_that_the_service_refuses(self, client):
        xml = (
            f"<request><lead><email>{EMAIL}</email><score>high</score><revenue>x (y)</revenue>"
            "<isCustomer>yes</isCustomer></lead></request>"
        )
        for method in ("addLead", "syncLead"):
            with pytest.raises(ValidationError) as caught:
                await client.call(method, xml=xml)
            assert {(p.code, p.field, p.value) for p in caught.value.problems} == {
                (9006, "score", "high"),
                (9006, "revenue", "x (y)"),
                (9007, "isCustomer", "yes"),
            }

    async def test_a_custom_field_that_the_account_does_not_have(self):
        async with emulated(custom_fields=["carColor"]) as (client, _):
            await client.sync_lead(Lead(email=EMAIL, custom_fields={"carColor": "Red"}))
            with pytest.raises(ValidationError) as caught:
                await client.sync_lead(Lead(email=EMAIL, custom_fields={"carMaker": "Infiniti"}))
        assert caught.value.code == 9008

    async def test_xml_that_is_none(self, client):
        with pytest.raises(ValidationError) as caught:
            await client.call("syncLead", xml="<request><lead>")
        assert caught.value.code == 9011

    async def test_custom_unicity_keys(self, client, sandbox):
        await client.sync_lead(Lead(email=EMAIL, crm_lead_id="7", first_name="Ada"))
        keys = ["crmLeadId", "firstName"]
        new = Lead(email="new@example.com", crm_lead_id="7", first_name="Ada", score=5)
        await client.sync_lead(new, custom_unicity_keys=keys)
        assert [(lead["email"], lead["score"]) for lead in sandbox.leads()] == [("new@example.com", "5")]
        other = Lead(email="other@example.com", crm_lead_id="7", first_name="Eve")
        await client.sync_lead(other, custom_unicity_keys=keys)
        assert len(sandbox.leads()) == 2

    async def test_several_leads_match(self, client, sandbox):
        sandbox.seed(leads=[{"email": EMAIL}, {"email": EMAIL}])
        with pytest.raises(ApiError) as caught:
            await client.sync_lead(Lead(email=EMAIL))
        assert not caught.value.maybe_applied

    async def test_an_anonymous_visitor_becomes_a_lead(self, client, sandbox):
        sandbox.seed(leads=[{"token": TOKEN, "isAnonymous": "1"}])
        await client.sync_lead(Lead(email=EMAIL, token=TOKEN), merge_anonymous=True)
        assert [lead["email"] for lead in sandbox.leads()] == [EMAIL]

    @pytest.mark.parametrize(
        ("response", "kind"), [("401", AuthenticationError), ("403", PermissionDenied), ("200", ApiError)]
    )
    async def test_wrong_credentials_are_errors_by_status(self, response, kind):
        async with emulated(bad_credentials_response=response) as (client, sandbox):
            object.__setattr__(sandbox.settings, "password", "changed")
            with pytest.raises(kind) as caught:
                await client.get_lead(EMAIL)
        assert not caught.value.retryable


class TestPages:
    async def test_all_leads_over_several_pages(self, client, sandbox):
        sandbox.seed(leads=people(250))
        found = [lead.email async for lead in client.get_leads()]
        assert found == [lead["email"] for lead in people(250)]
        pages = [page async for page in client.get_leads(page=3).pages()]
        assert [(page.number, len(page.items), page.total) for page in pages] == [(3, 50, 250)]

    @pytest.mark.parametrize("past_end", ["empty", "last"])
    async def test_lists_that_shrink_while_they_are_read(self, past_end):
        async with emulated(page_size=10, page_past_end=past_end) as (client, sandbox):
            sandbox.seed(
                leads=people(35), lists=[{"name": "L", "leads": [lead["email"] for lead in people(35)]}]
            )
            found = []
            async for page in client.get_list("L").pages():
                found += [lead.email for lead in page.items]
                if page.number == 2 and len(found) == 20:
                    for lead in people(17):
                        await client.remove_lead_from_list(lead["email"], "L")
            assert sorted(found) == [lead["email"] for lead in people(35)]

    @pytest.mark.parametrize("past_end", ["empty", "last"])
    async def test_campaigns_without_paging(self, past_end):
        async with emulated(page_size=3, page_past_end=past_end) as (client, sandbox):
            sandbox.seed(campaigns=[f"Campaign {number}" for number in range(7)])
            found = [campaign.name async for campaign in client.get_campaigns()]
        assert found == [f"Campaign {number}" for number in range(7)]

    async def test_opportunities_over_several_pages(self):
        async with emulated(opportunity_page_size=2) as (client, sandbox):
            sandbox.seed(opportunities=[{"Name": str(number), "Amount": number} for number in range(5)])
            found = [opportunity.amount async for opportunity in client.get_opportunities()]
        assert sorted(found) == [0, 1, 2, 3, 4]


class TestLists:
    async def test_on_and_off(self, client, sandbox):
        sandbox.seed(leads=people(3))
        emails = [lead["email"] for lead in people(3)]
        await client.add_leads_to_list(emails[:2], "VIP")
        await client.add_lead_to_list(emails[2], "VIP")
        await client.remove_lead_from_list(emails[0], "VIP")
        assert [lead.email async for lead in client.get_list("VIP")] == emails[1:]

    async def test_add_lead_to_list_creates_no_list(self, client, sandbox):
        sandbox.seed(leads=people(1))
        with pytest.raises(NotFound) as caught:
            await client.add_lead_to_list("lead000@example.com", "VIP (new)")
        assert [(p.code, p.field, p.value) for p in caught.value.problems] == [
            (9009, "listName", "VIP (new)")
        ]
        assert sandbox.contents()["lists"] == []

    async def test_leads_that_do_not_exist(self, client, sandbox):
        sandbox.seed(leads=people(1), lists=[{"name": "VIP"}])
        with pytest.raises(LeadNotFound) as caught:
            await client.add_lead_to_list(EMAIL, "VIP")
        assert caught.value.problems[0].value == EMAIL
        with pytest.raises(LeadNotFound):
            await client.remove_lead_from_list(EMAIL, "VIP")
        with pytest.raises(NotFound):
            await client.remove_lead_from_list("lead000@example.com", "nothing")

    @pytest.mark.parametrize("partial", [True, False])
    async def test_some_leads_do_not_exist(self, partial):
        async with emulated(partial_list_additions=partial) as (client, sandbox):
            sandbox.seed(leads=people(1))
            with pytest.raises(LeadNotFound) as caught:
                await client.add_leads_to_list(["lead000@example.com", EMAIL], "VIP")
            assert [p.value for p in caught.value.problems] == [EMAIL]
            assert caught.value.maybe_applied
            added = [lead for found in sandbox.contents()["lists"] for lead in found["leads"]]
            assert added == (["lead000@example.com"] if partial else [])

    async def test_a_filtered_list_is_read_and_takes_no_leads(self, client, sandbox):
        queries = [{"field": "email", "operator": "like", "value": "lead%"}]
        sandbox.seed(leads=people(2), views=[{"name": "Hot", "queries": queries}])
        assert len([lead async for lead in client.get_view("Hot")]) == 2
        with pytest.raises(ValidationError) as caught:
            await client.add_lead_to_list("lead000@example.com", "Hot")
        assert caught.value.code == 9012
        for pager in (client.get_list("Hot"), client.get_view("Cold")):
            with pytest.raises(NotFound):
                await pager


class TestTheRest:
    async def test_histories_need_a_lead_and_a_form(self, client, sandbox):
        with pytest.raises(ApiError):
            await client.add_web_visit_history(EMAIL, WebVisit(url="/"))
        sandbox.seed(leads=[{"email": EMAIL}])
        await client.add_web_visit_history(EMAIL, WebVisit(url="/"))
        with pytest.raises(ApiError):
            await client.add_fill_form_history(EMAIL, FilledForm(form_name="unknown"))
        assert len(sandbox.contents()["history"]) == 1

    async def test_execute_campaign_is_all_or_nothing(self, client, sandbox):
        sandbox.seed(leads=people(2), campaigns=["Spring"])
        emails = [lead["email"] for lead in people(2)]
        for calls in ((emails, ["Spring", "Autumn"]), ([*emails, EMAIL], ["Spring"])):
            with pytest.raises(ApiError):
                await client.execute_campaign(emails=calls[0], campaigns=calls[1])
        assert sandbox.contents()["campaigns"][0]["entries"] == []
        await client.execute_campaign(emails=emails, campaigns=["Spring"])
        assert sandbox.contents()["campaigns"][0]["entries"] == emails

    async def test_a_large_e_mail_campaign_in_calls_of_fifty(self, client, sandbox):
        campaign = EmailCampaign(
            name="Spring", from_name="Us", from_email=EMAIL, subject="News", html="<p>]]>&</p>"
        )
        leads = [Lead(email=lead["email"]) for lead in people(120)]
        for receivers in email_campaign_calls(leads):
            await client.add_email_campaign(campaign, receivers)
        (made,) = sandbox.contents()["campaigns"]
        assert made["entries"] == [lead.email for lead in leads]
        assert [arrival.method for arrival in sandbox.journal.arrivals] == ["addEmailCampaign"] * 3

    async def test_opportunities_need_their_leads(self, client):
        deal = Opportunity(
            id="1", name="n", sales_stage="Prospecting", amount=1, probability=1, leads=["nobody"]
        )
        with pytest.raises(ApiError):
            await client.sync_opportunity(deal)

    async def test_transactions_that_are_refused(self, client, sandbox):
        url = sandbox.base_url + sandbox.settings.transaction_path
        with pytest.raises(AuthenticationError):
            await client.add_transaction(Transaction(id="1"), url=url, token="wrong", email=EMAIL)
        with pytest.raises(NotFound):
            await client.add_transaction(Transaction(id="1"), url=url, token="accountToken", email=EMAIL)
        with pytest.raises((NotFound, ServerError)):
            await client.add_transaction(
                Transaction(id="1"), url=sandbox.base_url + "/nowhere", token="accountToken", email=EMAIL
            )

    async def test_a_method_unknown_to_the_service(self, client):
        with pytest.raises(ApiError):
            await client.call("makeCoffee")
