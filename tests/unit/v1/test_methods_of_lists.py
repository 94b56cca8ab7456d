"""Methods for lists and histories: requests, refused arguments, and results."""

from __future__ import annotations

import pytest

from publitrac_async import UNSET, LeadNotFound, ValidationError
from publitrac_async.v1 import ClickLink, FilledForm, V1Shapes, WebVisit
from tests.support.v1 import EMAIL, fields_of, refused, response, v1

LONG_EMAIL = "a" * 38 + "@example.com"


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

    async def test_invalid_arguments_are_refused(self):
        error = await refused("add_leads_to_list", ["plain", EMAIL, ""], "")
        assert [(p.field, p.code) for p in error.problems] == [
            ("listName", 9009),
            ("email", 9002),
            ("email", 9001),
        ]
        assert fields_of(await refused("add_leads_to_list", [], "VIP")) == ["leads"]

    async def test_failed_addresses_and_the_state_of_the_others(self):
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
    async def test_only_set_fields_are_sent(self, method, record, root):
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

    async def test_arguments_that_cannot_be_sent(self):
        error = await refused("add_web_visit_history", EMAIL, WebVisit(url="\x00", ip=5.5, context="fine"))
        assert sorted(fields_of(error)) == ["ip", "url"]

    async def test_a_lead_that_does_not_exist(self):
        async with v1(response(status=9005, errors=["9005 - Lead does not exist."])) as (client, _):
            with pytest.raises(LeadNotFound):
                await client.add_web_visit_history(EMAIL, WebVisit(url="/a"))
