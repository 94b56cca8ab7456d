# ruff: noqa: DTZ001  (the vendor's times have no zone)
"""Methods for opportunities and campaigns: requests, refused arguments, and results."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from attrs import evolve

from publitrac_async import UNSET, Lead
from publitrac_async.v1 import (
    SALES_STAGES,
    Campaign,
    EmailCampaign,
    Opportunity,
    OpportunityRecord,
    email_campaign_calls,
)
from tests.support.v1 import ADA, EMAIL, LEAD_ELEMENT, fields_of, refused, response, v1

OPPORTUNITY = Opportunity(
    id="77", name="Deal", sales_stage="Prospecting", amount=100, probability=50, leads=["crm-1", 2]
)


class TestOpportunities:
    async def test_the_request_is_complete(self):
        async with v1() as (client, service):
            await client.sync_opportunity(OPPORTUNITY)
        ((root, _, fields),) = service.last.document[2]
        assert root == "opportunity"
        assert fields == [
            ("id", "77", []),
            ("name", "Deal", []),
            ("salesStage", "Prospecting", []),
            ("amount", "100", []),
            ("probability", "50", []),
            ("leads", "", [("leadId", "crm-1", []), ("leadId", "2", [])]),
        ]

    @pytest.mark.parametrize("closed", [date(2012, 8, 20), datetime(2012, 8, 20, 13, 5)])
    async def test_the_date_is_written_as_documented(self, closed):
        deal = evolve(OPPORTUNITY, sales_stage="Closed Lost", date_closed=closed)
        async with v1() as (client, service):
            await client.sync_opportunity(deal)
        assert ("dateClosed", "2012-08-20", []) in service.last.document[2][0][2]

    async def test_everything_mandatory_is_missed_at_once(self):
        error = await refused(
            "sync_opportunity",
            Opportunity(id="", name="", sales_stage="", amount=None, probability=None, leads=[]),
        )
        assert fields_of(error) == ["id", "name", "salesStage", "amount", "probability", "leads"]

    @pytest.mark.parametrize(
        ("change", "field_name"),
        [
            ({"id": ""}, "id"),
            ({"name": " "}, "name"),
            ({"amount": None}, "amount"),
            ({"amount": 1.5}, "amount"),
            ({"amount": "100"}, "amount"),
            ({"probability": 0}, "probability"),
            ({"probability": 101}, "probability"),
            ({"probability": -1}, "probability"),
            ({"sales_stage": "closed won"}, "salesStage"),
            ({"sales_stage": "Won"}, "salesStage"),
            ({"sales_stage": "Closed Won"}, "dateClosed"),
            ({"sales_stage": "Closed Lost"}, "dateClosed"),
            ({"date_closed": "20/08/2012"}, "dateClosed"),
            ({"leads": []}, "leads"),
            ({"leads": ["a", ""]}, "leadId"),
            ({"leads": ["a", None]}, "leadId"),
            ({"leads": [UNSET, 2]}, "leadId"),
            ({"leads": ["a", b"b"]}, "leadId"),
            ({"leads": ["a\x00"]}, "leadId"),
        ],
    )
    async def test_an_opportunity_that_breaks_a_rule_is_refused(self, change, field_name):
        error = await refused("sync_opportunity", evolve(OPPORTUNITY, **change))
        assert fields_of(error) == [field_name]

    @pytest.mark.parametrize("stage", SALES_STAGES)
    @pytest.mark.parametrize("probability", [1, 100])
    async def test_all_stages_are_accepted(self, stage, probability):
        deal = evolve(
            OPPORTUNITY, sales_stage=stage, probability=probability, amount=0, date_closed=date(2026, 1, 2)
        )
        async with v1() as (client, service):
            await client.sync_opportunity(deal)
        assert len(service.sent) == 1

    def test_there_are_ten_stages(self):
        assert len(set(SALES_STAGES)) == 10

    @pytest.mark.parametrize(
        ("sent", "date_closed", "unparsed"),
        [
            ("2010-10-10", date(2010, 10, 10), {}),
            ("20/08/2012", date(2012, 8, 20), {}),
            ("0000-00-00", None, {}),
            ("", None, {}),
            ("08/20/2012", None, {"Date_Closed": "08/20/2012"}),
            ("soon", None, {"Date_Closed": "soon"}),
        ],
    )
    async def test_dates_in_responses_are_parsed(self, sent, date_closed, unparsed):
        content = (
            f"<opportunities><opportunity><Date_Closed>{sent}</Date_Closed></opportunity></opportunities>"
        )
        async with v1(response(content)) as (client, _):
            (record,) = (await client.get_opportunities()).items
        assert (record.date_closed, dict(record.unparsed)) == (date_closed, unparsed)

    async def test_names_are_compared_without_case_and_underscores(self):
        fields = (
            "<ID>7</ID><external_ID>x</external_ID><CreatedDate>2020-01-02 03:04:05</CreatedDate><New>y</New>"
        )
        async with v1(response(f"<opportunities><opportunity>{fields}</opportunity></opportunities>")) as (
            client,
            _,
        ):
            (record,) = (await client.get_opportunities()).items
        assert record == OpportunityRecord(
            id=7, external_id="x", created_date=datetime(2020, 1, 2, 3, 4, 5), other_fields={"New": "y"}
        )

    async def test_opportunities_are_read_page_by_page(self):
        def page(number):
            deal = f"<opportunity><id>{number}</id></opportunity>"
            paging = f"<page>{number}</page><items>1</items><offset>1</offset><total>2</total>"
            return response(f"<opportunities>{deal}</opportunities><paging>{paging}</paging>", status=5001)

        async with v1(page(1), page(2)) as (client, _):
            assert [deal.id async for deal in client.get_opportunities()] == [1, 2]


EMAIL_CAMPAIGN = EmailCampaign(
    name="Spring",
    from_name="Us",
    from_email="us@example.com",
    subject="News",
    text="Hello {{FirstName;Default=}}",
)


class TestCampaigns:
    async def test_campaigns_end_at_a_page_without_new_ones(self):
        first = response("<campaign><id>1</id></campaign><campaign><id>2</id></campaign>", status=5001)
        second = response("<campaign><id>2</id></campaign><campaign><id>3</id></campaign>", status=5001)
        async with v1(first, second, second) as (client, service):
            assert [campaign.id async for campaign in client.get_campaigns()] == [1, 2, 3]
        assert [sent.parameters.get("page") for sent in service.sent] == [None, "2", "3"]

    async def test_campaigns_within_an_element_are_found_too(self):
        async with v1(response("<campaigns><campaign><id>1</id></campaign></campaigns>")) as (client, _):
            assert (await client.get_campaigns()).items == (Campaign(id=1),)

    async def test_an_account_without_campaigns_has_no_campaigns(self):
        async with v1(response(status=5001)) as (client, _):
            assert [campaign async for campaign in client.get_campaigns()] == []

    async def test_execute_campaign_sends_leads_and_campaigns(self):
        async with v1() as (client, service):
            await client.execute_campaign(emails=[EMAIL, EMAIL], campaigns=iter(["A", "B & C"]))
        leads, campaigns = service.last.document[2]
        assert leads == ("leads", "", [("lead", "", [("email", EMAIL, [])])] * 2)
        assert [campaign[2][0][1] for campaign in campaigns[2]] == ["A", "B & C"]

    async def test_execute_needs_leads_and_campaigns(self):
        assert fields_of(await refused("execute_campaign", emails=[], campaigns=[])) == ["leads", "campaigns"]
        assert fields_of(await refused("execute_campaign", emails=["x"], campaigns=[" "])) == [
            "email",
            "name",
        ]

    async def test_an_e_mail_campaign_without_options(self):
        async with v1() as (client, service):
            await client.add_email_campaign(EMAIL_CAMPAIGN, [ADA])
        information, email, leads = service.last.document[2]
        assert information[2] == [("name", "Spring", [])]
        assert [part[0] for part in email[2]] == ["fromName", "fromEmail", "subject", "message"]
        assert email[2][3][2] == [("text", "Hello {{FirstName;Default=}}", [])]
        assert leads[2] == [LEAD_ELEMENT]
        assert service.last.verb == "POST"

    @pytest.mark.parametrize(("flag", "sent"), [(True, "true"), (False, "false")])
    async def test_the_option_send_as_sales_rep_is_sent(self, flag, sent):
        async with v1() as (client, service):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, send_as_sales_rep=flag), [ADA])
        assert service.last.document[2][1][2][4] == ("options", "", [("sendAsSalesRep", sent, [])])

    @pytest.mark.parametrize("html", ["<p>1 < 2 && ]]> </p>", "<![CDATA[x]]>", "<html><body>é</body></html>"])
    async def test_html_arrives_as_it_is(self, html):
        async with v1() as (client, service):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, html=html, text=UNSET), [ADA])
        assert service.last.document[2][1][2][3][2] == [("html", html, [])]

    async def test_fifty_leads_a_call_and_no_more(self):
        leads = [Lead(email=f"lead{number}@example.com") for number in range(51)]
        error = await refused("add_email_campaign", EMAIL_CAMPAIGN, leads)
        assert fields_of(error) == ["leads"]
        assert "at most 50" in str(error)
        assert "51" in str(error)
        async with v1() as (client, service):
            await client.add_email_campaign(EMAIL_CAMPAIGN, leads[:50])
        assert len(service.last.document[2][2][2]) == 50

    async def test_more_leads_in_calls_of_fifty(self):
        async with v1() as (client, service):
            for receivers in email_campaign_calls(Lead(email=f"lead{n}@example.com") for n in range(120)):
                await client.add_email_campaign(EMAIL_CAMPAIGN, receivers)
        assert [len(sent.document[2][2][2]) for sent in service.sent] == [50, 50, 20]

    def test_no_leads_make_no_calls(self):
        assert list(email_campaign_calls([])) == []

    async def test_the_name_has_fewer_than_50_characters(self):
        error = await refused("add_email_campaign", evolve(EMAIL_CAMPAIGN, name="n" * 50), [ADA])
        assert fields_of(error) == ["name"]
        async with v1() as (client, _):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, name="n" * 49), [ADA])

    async def test_mandatory_arguments_are_checked(self):
        error = await refused(
            "add_email_campaign", EmailCampaign(name="", from_name="", from_email="", subject=""), []
        )
        assert fields_of(error) == ["name", "fromName", "fromEmail", "subject", "message", "leads"]

    @pytest.mark.parametrize(
        ("campaign", "leads", "field_name"),
        [
            (evolve(EMAIL_CAMPAIGN, from_email="us"), [ADA], "fromEmail"),
            (evolve(EMAIL_CAMPAIGN, html="", text=""), [ADA], "message"),
            (EMAIL_CAMPAIGN, [ADA, Lead()], "email"),
            (EMAIL_CAMPAIGN, [evolve(ADA, custom_fields={"a b": 1})], "a b"),
            (EMAIL_CAMPAIGN, [evolve(ADA, score="x")], "score"),
        ],
    )
    async def test_invalid_arguments_are_refused(self, campaign, leads, field_name):
        assert fields_of(await refused("add_email_campaign", campaign, leads)) == [field_name]
