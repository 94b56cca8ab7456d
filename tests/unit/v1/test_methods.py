# ruff: noqa: DTZ001  (the vendor's times have no zone)
"""What each method sends, what it refuses to send, and what it makes of the response."""

from __future__ import annotations

from datetime import date, datetime

import httpx
import pytest
from attrs import evolve

from publitrac_async import (
    UNSET,
    ConfigurationError,
    Conflict,
    Lead,
    LeadNotFound,
    NotFound,
    PublitracClient,
    UnexpectedContent,
    ValidationError,
    field,
)
from publitrac_async.v1 import (
    SALES_STAGES,
    Campaign,
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    V1Shapes,
    WebVisit,
    email_campaign_calls,
)
from tests.support.v1 import response, v1

EMAIL = "ada@example.com"
LEAD = Lead(email=EMAIL, first_name="Ada")
LEAD_ELEMENT = ("lead", "", [("email", EMAIL, []), ("firstName", "Ada", [])])
LONG_EMAIL = "a" * 38 + "@example.com"
ONE_LEAD = response(f"<leads><lead><id>7</id><email>{EMAIL}</email></lead></leads>", status=2002)


async def refused(method, *args, options=None, **kwargs) -> ValidationError:
    """The error of a call that must not reach the wire."""
    async with v1(**(options or {})) as (client, service):
        with pytest.raises(ValidationError) as caught:
            await getattr(client, method)(*args, **kwargs)
    assert service.sent == []
    assert caught.value.attempts == 0
    return caught.value


async def _sent_for(client, service, external_id):
    await client.get_lead_by_external_id(external_id)
    return service.last.query


def fields_of(error: ValidationError) -> list[str | None]:
    return [problem.field for problem in error.problems]


class TestReadingLeads:
    @pytest.mark.parametrize("method", ["get_lead", "get_lead_by_external_id", "get_lead_by_token_id"])
    async def test_none_may_come_as_an_error_or_as_an_empty_list(self, method):
        nothing = [
            response(status=9015, errors=["9005 - Lead does not exist."]),
            response(status=9015),
            response("<leads></leads>", status=2002),
            response("<leads><lead></lead></leads>", status=2002),
            response("<leads/><paging><items>0</items><total>0</total></paging>", status=2001),
            response("<paging><page>1</page><items>0</items><total>0</total></paging>", status=2001),
        ]
        async with v1(*nothing) as (client, service):
            for _ in nothing:
                with pytest.raises(LeadNotFound):
                    await getattr(client, method)(EMAIL)
        assert len(service.sent) == len(nothing)

    @pytest.mark.parametrize("method", ["get_lead", "get_lead_by_external_id", "get_lead_by_token_id"])
    @pytest.mark.parametrize(
        "content",
        [
            "",
            "<leads>no rights</leads>",
            "<leads><lead>no rights</lead></leads>",
            "<leads><row><id>1</id></row></leads>",
            "<leads/><paging><items>1</items><total>1</total></paging>",
            "<leads/><paging><total>3</total></paging>",
        ],
    )
    async def test_none_is_believed_only_of_a_response_that_says_so(self, method, content):
        async with v1(response(content, status=2002)) as (client, _):
            with pytest.raises(UnexpectedContent) as caught:
                await getattr(client, method)(EMAIL)
            with pytest.raises(UnexpectedContent):
                await client.get_leads()
        assert not caught.value.retryable

    @pytest.mark.parametrize("content", ["<list><campaign/></list>", "<leads/>", "<campaigns>x</campaigns>"])
    async def test_campaigns_and_opportunities_are_not_missed(self, content):
        async with v1(response(content, status=5001)) as (client, _):
            with pytest.raises(UnexpectedContent):
                await client.get_campaigns()
            with pytest.raises(UnexpectedContent):
                await client.get_opportunities()

    async def test_an_account_without_campaigns(self):
        async with v1(response(status=5001), response("<campaigns/>", status=5001)) as (client, _):
            assert (await client.get_campaigns()).items == ()
            assert (await client.get_campaigns()).items == ()

    async def test_a_page_past_the_end_is_empty(self):
        paging = "<paging><page>9</page><items>0</items><offset>100</offset><total>3</total></paging>"
        async with v1(response(f"<leads></leads>{paging}", status=2001)) as (client, _):
            assert (await client.get_leads(page=9)).items == ()

    @pytest.mark.parametrize("method", ["get_lead", "get_lead_by_external_id", "get_lead_by_token_id"])
    async def test_two_leads_are_not_one(self, method):
        two = response("<leads><lead><id>1</id></lead><lead><id>2</id></lead></leads>")
        async with v1(two) as (client, _):
            with pytest.raises(UnexpectedContent):
                await getattr(client, method)(EMAIL)

    async def test_external_ids_may_be_numbers(self):
        async with v1(ONE_LEAD) as (client, service):
            assert (await client.get_lead_by_external_id(123)).id == 7
        assert service.last.parameters == {"externalId": "123"}

    @pytest.mark.parametrize("external_id", ["", "  ", None, UNSET])
    async def test_an_external_id_is_required(self, external_id):
        error = await refused("get_lead_by_external_id", external_id)
        assert [(p.field, p.code) for p in error.problems] == [("externalId", 9003)]

    async def test_by_token_id(self):
        token = "_nl-publipage.com-1282527313351-84730"
        async with v1(ONE_LEAD) as (client, service):
            assert (await client.get_lead_by_token_id(token)).id == 7
        assert (service.last.verb, service.last.query["method"]) == ("GET", "getLeadByTokenId")
        assert service.last.parameters == {"tokenId": token}
        assert fields_of(await refused("get_lead_by_token_id", "")) == ["tokenId"]

    async def test_the_parameter_of_by_token_id_can_be_chosen(self):
        async with v1(ONE_LEAD, v1_shapes=V1Shapes(token_id_parameter="token")) as (client, service):
            await client.get_lead_by_token_id("x")
        assert service.last.parameters == {"token": "x"}

    @pytest.mark.parametrize("email", ["", None, "plain", "a@b", "a\ud800@example.com", "a\x00@example.com"])
    async def test_addresses_are_checked(self, email):
        assert fields_of(await refused("get_lead", email)) == ["email"]

    @pytest.mark.parametrize("text", ["\x00", "\ud800"])
    async def test_parameters_are_checked(self, text):
        assert fields_of(await refused("get_lead_by_external_id", "a" + text)) == ["externalId"]
        assert fields_of(await refused("get_lead_by_token_id", "a" + text)) == ["tokenId"]

    async def test_a_search_is_checked_when_it_is_made(self):
        async with v1() as (client, service):
            for make in (
                lambda: client.get_leads(page=0),
                lambda: client.get_leads(field("a\x00").like("x")),
                lambda: client.get_view(""),
                lambda: client.get_view("a\ud800"),
                lambda: client.get_list(" "),
                lambda: client.get_list("a", page=-1),
                lambda: client.get_campaigns(page=0),
                lambda: client.get_opportunities(page=0),
            ):
                with pytest.raises(ValidationError):
                    make()
        assert service.sent == []

    async def test_a_search_that_servers_would_refuse_for_its_length_is_not_sent(self):
        conditions = [field("customField").like(f"été {number}%") for number in range(60)]
        async with v1(ONE_LEAD) as (client, service):
            assert await client.get_leads(*conditions[:50])
            with pytest.raises(ValidationError) as caught:
                await client.get_leads(*conditions)
            assert len(service.sent) == 1
            assert "v1.call(" in caught.value.message
            assert "60%" not in str(caught.value)
            await client.call("getLeads", xml="<request/>" + "x" * 9000)

    async def test_the_longest_url_is_sent_and_one_byte_more_is_not(self):
        async with v1(ONE_LEAD, base_url="https://a.example") as (client, service):
            known = len(str(httpx.URL("https://a.example/api", params=await _sent_for(client, service, "x"))))
            longest = 8000 + len("https://a.example") - known + 1
            await client.get_lead_by_external_id("x" * longest)
            with pytest.raises(ValidationError):
                await client.get_lead_by_external_id("x" * (longest + 1))

    @pytest.mark.parametrize("method", ["get_view", "get_list"])
    async def test_pages_of_views_and_lists(self, method):
        def page(number):
            lead = f"<lead><id>{number}</id></lead>"
            paging = f"<page>{number}</page><items>1</items><offset>1</offset><total>3</total>"
            return response(f"<leads>{lead}</leads><paging>{paging}</paging>")

        async with v1(page(1), page(2), page(3)) as (client, service):
            assert [lead.id async for lead in getattr(client, method)("VIP & co")] == [1, 2, 3]
        assert [sent.parameters.get("page") for sent in service.sent] == [None, "2", "3"]
        assert all("VIP & co" in sent.parameters.values() for sent in service.sent)

    async def test_a_view_that_does_not_exist(self):
        async with v1(
            response(status=9010), response(status=9009, errors=["9009 - List does not exist."])
        ) as (
            client,
            _,
        ):
            with pytest.raises(NotFound):
                await client.get_view("nothing")
            with pytest.raises(NotFound):
                await client.get_list("nothing")

    async def test_a_search_with_another_operator(self):
        async with v1(response("<leads/>")) as (client, service):
            await client.get_leads(field("score").compare(">", "50"), page=2)
        parts = [("field", "score", []), ("operator", ">", []), ("value", "50", [])]
        assert service.last.document == ("request", "", [("queries", "", [("query", "", parts)])])
        assert service.last.parameters == {"page": "2"}

    async def test_leads_without_an_id_are_told_apart_by_address(self):
        page = response(
            "<leads><lead><email>a@example.com</email></lead><lead><email>b@example.com</email></lead></leads>"
        )
        async with v1(page) as (client, service):
            assert [lead.email async for lead in client.get_leads()] == ["a@example.com", "b@example.com"]
        assert len(service.sent) == 2  # There is no paging: the second page brings nothing new.


class TestSyncLead:
    async def test_only_what_is_set_is_sent(self):
        async with v1() as (client, service):
            await client.sync_lead(LEAD)
        assert service.last.document == ("request", "", [LEAD_ELEMENT])

    async def test_options_stand_before_the_lead(self):
        lead = evolve(LEAD, token="_nl-x", crm_lead_id=7)
        async with v1() as (client, service):
            with pytest.warns(UserWarning, match="useToken off"):
                await client.sync_lead(
                    lead, use_token=True, merge_anonymous=True, custom_unicity_keys=["crmLeadId", "firstName"]
                )
        assert service.last.document[2][:-1] == [
            ("useToken", "true", []),
            ("mergeAnonymous", "1", []),
            ("customUnicityKeys", "", [("key", "crmLeadId", []), ("key", "firstName", [])]),
        ]
        assert service.last.document[2][-1][0] == "lead"

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            (",".join, ("customUnicityKeys", "email,firstName", [])),
            (
                lambda names: dict.fromkeys(names, ""),
                ("customUnicityKeys", "", [("email", "", []), ("firstName", "", [])]),
            ),
        ],
    )
    async def test_the_shape_of_unicity_keys_can_be_chosen(self, shape, expected):
        async with v1(v1_shapes=V1Shapes(unicity_keys=shape)) as (client, service):
            await client.sync_lead(LEAD, custom_unicity_keys=["email", "firstName"])
        assert service.last.document[2][0] == expected

    @pytest.mark.parametrize("option", ["use_token", "merge_anonymous"])
    @pytest.mark.parametrize("token", [UNSET, None, "", "  "])
    async def test_options_that_need_a_token(self, option, token):
        error = await refused("sync_lead", evolve(LEAD, token=token), **{option: True})
        assert fields_of(error) == ["token"]

    @pytest.mark.parametrize(
        "lead",
        [
            LEAD,
            evolve(LEAD, crm_lead_id=""),
            evolve(LEAD, crm_lead_id=None),
            evolve(LEAD, crm_lead_id=" "),
        ],
    )
    async def test_unicity_keys_need_values(self, lead):
        error = await refused("sync_lead", lead, custom_unicity_keys=["email", "crmLeadId"])
        assert fields_of(error) == ["crmLeadId"]

    async def test_custom_fields_can_be_unicity_keys(self):
        lead = evolve(LEAD, score=0, custom_fields={"number": 0, "empty": "", "none": []})
        async with v1() as (client, _):
            await client.sync_lead(lead, custom_unicity_keys=["number", "score"])
        error = await refused("sync_lead", lead, custom_unicity_keys=["empty", "none", "number", "other"])
        assert fields_of(error) == ["empty", "none", "other"]

    async def test_an_address_is_required_whatever_identifies_the_lead(self):
        lead = Lead(token="_nl-x", crm_lead_id="7")
        error = await refused("sync_lead", lead, use_token=True, custom_unicity_keys=["crmLeadId"])
        assert [(p.field, p.code) for p in error.problems] == [("email", 9001)]

    async def test_custom_fields_with_several_values_are_repeated(self):
        async with v1() as (client, service):
            await client.sync_lead(evolve(LEAD, custom_fields={"interest": ["ski", "chess"], "none": []}))
        container = service.last.document[2][0][2][-1]
        assert container == ("customFields", "", [("interest", "ski", []), ("interest", "chess", [])])


class TestOtherWrites:
    @pytest.mark.parametrize(("method", "name"), [("add_lead", "addLead"), ("update_lead", "updateLead")])
    async def test_add_and_update(self, method, name):
        async with v1() as (client, service):
            assert await getattr(client, method)(LEAD) is None
        assert (service.last.verb, service.last.query["method"]) == ("POST", name)
        assert service.last.document == ("request", "", [LEAD_ELEMENT])
        assert service.last.parameters == {}
        assert fields_of(await refused(method, Lead())) == ["email"]

    async def test_a_lead_that_exists(self):
        line = f"9004 - Lead with email address {EMAIL} already exists, please use the updateLead() call."
        async with v1(response(status=9016, errors=[line])) as (client, _):
            with pytest.raises(Conflict) as caught:
                await client.add_lead(LEAD)
        assert (caught.value.code, caught.value.problems[0].value) == (9004, EMAIL)

    async def test_delete_lead_sends_the_address(self):
        async with v1() as (client, service):
            assert await client.delete_lead(EMAIL) is None
        assert (service.last.verb, service.last.query["method"]) == ("POST", "deleteLead")
        assert service.last.form == {"email": EMAIL}
        assert fields_of(await refused("delete_lead", "")) == ["email"]


class TestLists:
    @pytest.mark.parametrize(
        ("method", "name"),
        [("add_lead_to_list", "addLeadToList"), ("remove_lead_from_list", "removeLeadFromList")],
    )
    async def test_one_lead_is_sent_with_its_list(self, method, name):
        async with v1() as (client, service):
            await getattr(client, method)(EMAIL, "VIP")
        assert (service.last.verb, service.last.query["method"]) == ("POST", name)
        assert service.last.form == {"listName": "VIP", "email": EMAIL}
        error = await refused(method, "plain", "")
        assert [(p.field, p.code) for p in error.problems] == [("listName", 9009), ("email", 9002)]

    async def test_the_parameters_can_be_chosen(self):
        shapes = V1Shapes(list_name_parameter="list", email_parameter="lead")
        async with v1(v1_shapes=shapes) as (client, service):
            await client.remove_lead_from_list(EMAIL, "VIP")
        assert service.last.form == {"list": "VIP", "lead": EMAIL}

    async def test_many_leads_are_sent_in_one_document(self):
        emails = (f"lead{number}@example.com" for number in range(3))
        async with v1() as (client, service):
            await client.add_leads_to_list(emails, "n" * 49)
        assert service.last.document[2][0] == ("list", "", [("name", "n" * 49, [])])
        assert len(service.last.document[2][1][2]) == 3

    @pytest.mark.parametrize("name", ["n" * 50, "é" * 50])
    async def test_names_have_fewer_than_50_characters(self, name):
        for method, who in (("add_leads_to_list", [EMAIL]), ("add_lead_to_list", EMAIL)):
            error = await refused(method, who, name)
            (problem,) = error.problems
            assert (problem.field, problem.value) == ("listName", name)
            assert "49 characters, not 50" in str(error)

    async def test_characters_are_counted_not_bytes(self):
        async with v1() as (client, service):
            await client.add_leads_to_list([EMAIL], "é" * 49)
        assert len(service.sent) == 1

    async def test_what_is_refused(self):
        error = await refused("add_leads_to_list", ["plain", EMAIL, ""], "")
        assert [(p.field, p.code) for p in error.problems] == [
            ("listName", 9009),
            ("email", 9002),
            ("email", 9001),
        ]
        assert fields_of(await refused("add_leads_to_list", [], "VIP")) == ["leads"]

    async def test_failed_addresses_and_what_is_known_of_the_others(self):
        lines = [f"9005 - ({name}@example.com) Leads not found." for name in "ab"]
        body = response(status=9013, message="Add Leads To List failed.", errors=lines)
        async with v1(body) as (client, _):
            for emails, maybe in ((["a@example.com", "b@example.com"], False), ([EMAIL] * 3, True)):
                with pytest.raises(LeadNotFound) as caught:
                    await client.add_leads_to_list(emails, "VIP")
                assert [p.value for p in caught.value.problems] == ["a@example.com", "b@example.com"]
                assert caught.value.maybe_applied is maybe
                assert not caught.value.retryable

    async def test_a_filtered_list(self):
        line = "9012 - You are trying to insert a lead inside a filtered list, this operation ..."
        async with v1(response(status=9013, errors=[line])) as (client, _):
            with pytest.raises(ValidationError, match="filtered list"):
                await client.add_lead_to_list(EMAIL, "Hot leads")


class TestHistories:
    CALLS = (
        ("add_web_visit_history", WebVisit(url="/a"), "webvisitleadhistory"),
        ("add_click_link_history", ClickLink(url="/a"), "clicklinkleadhistory"),
        ("add_fill_form_history", FilledForm(form_name="F", url="/a"), "fillformleadhistory"),
    )

    @pytest.mark.parametrize(("method", "record", "root"), CALLS)
    async def test_only_what_is_set_is_sent(self, method, record, root):
        async with v1() as (client, service):
            await getattr(client, method)(EMAIL, record)
        ((tag, _, fields),) = service.last.document[2]
        assert tag == root
        assert ("url", "/a", []) in fields
        assert len(fields) == (2 if root == "fillformleadhistory" else 1)

    @pytest.mark.parametrize(("method", "record", "root"), CALLS)
    async def test_addresses_have_fewer_than_50_characters(self, method, record, root):
        error = await refused(method, LONG_EMAIL, record)
        assert (error.problems[0].field, error.problems[0].value) == ("email", LONG_EMAIL)
        assert "49 characters, not 50" in str(error)
        assert LONG_EMAIL not in str(error)
        async with v1() as (client, _):
            await getattr(client, method)(LONG_EMAIL[1:], record)

    @pytest.mark.parametrize("name", [UNSET, None, "", " "])
    async def test_a_form_has_a_name(self, name):
        assert fields_of(await refused("add_fill_form_history", EMAIL, FilledForm(form_name=name))) == [
            "formName"
        ]

    @pytest.mark.parametrize(
        ("values", "sent"),
        [("A: 1\nB: 2", "A: 1\nB: 2"), ({"A": "1", "B": "2"}, "A: 1\nB: 2"), (None, ""), ("", ""), ({}, "")],
    )
    async def test_the_values_of_a_form(self, values, sent):
        async with v1() as (client, service):
            await client.add_fill_form_history(EMAIL, FilledForm(form_name="F", values=values))
        assert ("values", sent, []) in service.last.document[2][0][2]

    async def test_what_cannot_be_sent(self):
        error = await refused("add_web_visit_history", EMAIL, WebVisit(url="\x00", ip=5.5, context="fine"))
        assert sorted(fields_of(error)) == ["ip", "url"]

    async def test_a_lead_that_does_not_exist(self):
        async with v1(response(status=9005, errors=["9005 - Lead does not exist."])) as (client, _):
            with pytest.raises(LeadNotFound):
                await client.add_web_visit_history(EMAIL, WebVisit(url="/a"))


OPPORTUNITY = Opportunity(
    id="77", name="Deal", sales_stage="Prospecting", amount=100, probability=50, leads=["crm-1", 2]
)


class TestOpportunities:
    async def test_what_is_sent(self):
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
    async def test_dates_that_come_back(self, sent, date_closed, unparsed):
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
    async def test_campaigns_end_where_nothing_new_comes(self):
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
            await client.add_email_campaign(EMAIL_CAMPAIGN, [LEAD])
        information, email, leads = service.last.document[2]
        assert information[2] == [("name", "Spring", [])]
        assert [part[0] for part in email[2]] == ["fromName", "fromEmail", "subject", "message"]
        assert email[2][3][2] == [("text", "Hello {{FirstName;Default=}}", [])]
        assert leads[2] == [LEAD_ELEMENT]
        assert service.last.verb == "POST"

    @pytest.mark.parametrize(("flag", "sent"), [(True, "true"), (False, "false")])
    async def test_the_option_send_as_sales_rep_is_sent(self, flag, sent):
        async with v1() as (client, service):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, send_as_sales_rep=flag), [LEAD])
        assert service.last.document[2][1][2][4] == ("options", "", [("sendAsSalesRep", sent, [])])

    @pytest.mark.parametrize("html", ["<p>1 < 2 && ]]> </p>", "<![CDATA[x]]>", "<html><body>é</body></html>"])
    async def test_html_arrives_as_it_is(self, html):
        async with v1() as (client, service):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, html=html, text=UNSET), [LEAD])
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
        error = await refused("add_email_campaign", evolve(EMAIL_CAMPAIGN, name="n" * 50), [LEAD])
        assert fields_of(error) == ["name"]
        async with v1() as (client, _):
            await client.add_email_campaign(evolve(EMAIL_CAMPAIGN, name="n" * 49), [LEAD])

    async def test_what_is_mandatory(self):
        error = await refused(
            "add_email_campaign", EmailCampaign(name="", from_name="", from_email="", subject=""), []
        )
        assert fields_of(error) == ["name", "fromName", "fromEmail", "subject", "message", "leads"]

    @pytest.mark.parametrize(
        ("campaign", "leads", "field_name"),
        [
            (evolve(EMAIL_CAMPAIGN, from_email="us"), [LEAD], "fromEmail"),
            (evolve(EMAIL_CAMPAIGN, html="", text=""), [LEAD], "message"),
            (EMAIL_CAMPAIGN, [LEAD, Lead()], "email"),
            (EMAIL_CAMPAIGN, [evolve(LEAD, custom_fields={"a b": 1})], "a b"),
            (EMAIL_CAMPAIGN, [evolve(LEAD, score="x")], "score"),
        ],
    )
    async def test_what_is_refused(self, campaign, leads, field_name):
        assert fields_of(await refused("add_email_campaign", campaign, leads)) == [field_name]


async def test_v1_needs_user_and_password():
    async with PublitracClient(api_key="k") as publitrac:
        for call in (publitrac.v1.get_lead(EMAIL), publitrac.v1.call("getLead")):
            with pytest.raises(ConfigurationError, match="username"):
                await call
