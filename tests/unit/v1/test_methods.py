"""Methods for leads: requests, refused arguments, and results."""

from __future__ import annotations

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
from publitrac_async.v1 import V1Shapes
from tests.support.v1 import ADA, EMAIL, LEAD_ELEMENT, ONE_LEAD, fields_of, refused, response, v1


async def _sent_for(client, service, external_id):
    await client.get_lead_by_external_id(external_id)
    return service.last.query


class TestReadingLeads:
    @pytest.mark.parametrize("method", ["get_lead", "get_lead_by_external_id", "get_lead_by_token_id"])
    async def test_no_leads_may_be_an_error_or_an_empty_list(self, method):
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
    async def test_no_leads_are_accepted_only_from_an_explicit_response(self, method, content):
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

    async def test_leads_without_an_id_are_distinguished_by_address(self):
        page = response(
            "<leads><lead><email>a@example.com</email></lead><lead><email>b@example.com</email></lead></leads>"
        )
        async with v1(page) as (client, service):
            assert [lead.email async for lead in client.get_leads()] == ["a@example.com", "b@example.com"]
        assert len(service.sent) == 2  # There is no paging: the second page brings nothing new.


class TestSyncLead:
    async def test_only_set_fields_are_sent(self):
        async with v1() as (client, service):
            await client.sync_lead(ADA)
        assert service.last.document == ("request", "", [LEAD_ELEMENT])

    async def test_options_stand_before_the_lead(self):
        lead = evolve(ADA, token="_nl-x", crm_lead_id=7)
        async with v1() as (client, service):
            with pytest.warns(UserWarning, match="useToken to be off"):
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
            await client.sync_lead(ADA, custom_unicity_keys=["email", "firstName"])
        assert service.last.document[2][0] == expected

    @pytest.mark.parametrize("option", ["use_token", "merge_anonymous"])
    @pytest.mark.parametrize("token", [UNSET, None, "", "  "])
    async def test_options_that_need_a_token(self, option, token):
        error = await refused("sync_lead", evolve(ADA, token=token), **{option: True})
        assert fields_of(error) == ["token"]

    @pytest.mark.parametrize(
        "lead",
        [
            ADA,
            evolve(ADA, crm_lead_id=""),
            evolve(ADA, crm_lead_id=None),
            evolve(ADA, crm_lead_id=" "),
        ],
    )
    async def test_unicity_keys_need_values(self, lead):
        error = await refused("sync_lead", lead, custom_unicity_keys=["email", "crmLeadId"])
        assert fields_of(error) == ["crmLeadId"]

    async def test_custom_fields_can_be_unicity_keys(self):
        lead = evolve(ADA, score=0, custom_fields={"number": 0, "empty": "", "none": []})
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
            await client.sync_lead(evolve(ADA, custom_fields={"interest": ["ski", "chess"], "none": []}))
        container = service.last.document[2][0][2][-1]
        assert container == ("customFields", "", [("interest", "ski", []), ("interest", "chess", [])])


class TestOtherWrites:
    @pytest.mark.parametrize(("method", "name"), [("add_lead", "addLead"), ("update_lead", "updateLead")])
    async def test_add_and_update(self, method, name):
        async with v1() as (client, service):
            assert await getattr(client, method)(ADA) is None
        assert (service.last.verb, service.last.query["method"]) == ("POST", name)
        assert service.last.document == ("request", "", [LEAD_ELEMENT])
        assert service.last.parameters == {}
        assert fields_of(await refused(method, Lead())) == ["email"]

    async def test_a_lead_that_exists(self):
        line = f"9004 - Lead with email address {EMAIL} already exists, please use the updateLead() call."
        async with v1(response(status=9016, errors=[line])) as (client, _):
            with pytest.raises(Conflict) as caught:
                await client.add_lead(ADA)
        assert (caught.value.code, caught.value.problems[0].value) == (9004, EMAIL)

    async def test_delete_lead_sends_the_address(self):
        async with v1() as (client, service):
            assert await client.delete_lead(EMAIL) is None
        assert (service.last.verb, service.last.query["method"]) == ("POST", "deleteLead")
        assert service.last.form == {"email": EMAIL}
        assert fields_of(await refused("delete_lead", "")) == ["email"]


async def test_v1_needs_user_and_password():
    async with PublitracClient(api_key="k") as publitrac:
        for call in (publitrac.v1.get_lead(EMAIL), publitrac.v1.call("getLead")):
            with pytest.raises(ConfigurationError, match="username"):
                await call
