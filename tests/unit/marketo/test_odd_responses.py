"""Responses that differ from Marketo's documents: warnings, odd items and dates, identity, pages."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from publitrac_async import ApiError, AuthenticationError
from publitrac_async.marketo import ListMembership
from publitrac_async.marketo import responses as reading
from tests.support.clock import virtual
from tests.support.marketo import GOOD, refused, response, result, serving

# Warnings.

WARNINGS = [{"code": "702", "message": "canary"}, "No assets found"]


@virtual
async def test_warnings_are_with_results_and_pages() -> None:
    async with serving(result(GOOD, warnings=WARNINGS)) as (marketo, _):
        (pushed,) = await marketo.push_leads([{"email": "a@x.com"}], program_name="P")
        page = await marketo.get_leads_by_list_id(1)
    for warnings in (pushed.warnings, page.warnings):
        assert [(warning.code, warning.message) for warning in warnings] == [
            ("702", "canary"),
            ("", "No assets found"),
        ]
    assert "canary" not in repr(pushed) + repr(page)


@virtual
async def test_warnings_without_a_place_are_in_the_log_by_their_codes(caplog) -> None:
    caplog.set_level(logging.INFO, logger="publitrac_async")
    async with serving(result({"id": 1}, warnings=WARNINGS)) as (marketo, _):
        await marketo.get_lead_by_id(1)
    assert "2 warnings, codes 702, none" in caplog.text
    assert "canary" not in caplog.text


@virtual
async def test_a_code_that_is_none_is_shown_nowhere(caplog) -> None:
    caplog.set_level(logging.INFO, logger="publitrac_async")
    odd = {"code": "canary@x.com", "message": "x"}
    async with serving(
        result({"id": 1}, warnings=[odd]), result({"status": "skipped", "reasons": [odd]})
    ) as (marketo, _):
        await marketo.get_lead_by_id(1)
        (skipped,) = await marketo.sync_leads([{"email": "a@x.com"}])
    assert "canary" not in caplog.text + repr(skipped) + str(skipped.error)


@pytest.mark.parametrize("warnings", [None, [], 5, [5], {"code": 1}])
def test_odd_warnings_harm_nothing(warnings: Any) -> None:
    reading.read(response(result(GOOD, warnings=warnings)))


# Results.


@pytest.mark.parametrize("body", [{"success": True, "result": None}, {"success": True}])
def test_no_result_is_an_empty_one(body: Any) -> None:
    assert reading.read(response(body)).result == []
    assert reading.page(response(body), lambda item: item, first=True).items == ()


@virtual
async def test_odd_dates_and_flags_of_a_membership() -> None:
    odd = {
        "id": 1,
        "progressionStatus": "Sent",
        "membershipDate": "2016-05-24T17:05:54Z+0000",
        "updatedAt": "",
        "isExhausted": "true",
        "acquiredBy": 0,
        "reachedSuccess": "perhaps",
        "stream": ["x"],
    }
    async with serving(result(odd)) as (marketo, _):
        (found,) = [each async for each in marketo.get_programs_by_lead_id(1)]
    assert found.membership_date == datetime(2016, 5, 24, 17, 5, 54, tzinfo=UTC)
    assert (found.updated_at, found.is_exhausted, found.acquired_by, found.reached_success, found.stream) == (
        None,
        True,
        False,
        None,
        None,
    )


@pytest.mark.parametrize(
    "text",
    [
        "2016-05-24T17:05:54Z",
        "2016-05-24T17:05:54Z+0000",
        "2016-05-24T17:05:54+0000",
        "2016-05-24T12:05:54-05:00",
        "2016-05-24T17:05:54",
        "2016-05-24 17:05:54.000",
    ],
)
def test_a_time_has_a_zone_however_it_is_written(text: str) -> None:
    @virtual
    async def main() -> None:
        async with serving(result({"id": 1, "createdAt": text})) as (marketo, _):
            lead = await marketo.get_lead_by_id(1)
        assert lead.created_at == datetime(2016, 5, 24, 17, 5, 54, tzinfo=UTC)

    main()


@virtual
async def test_an_item_that_cannot_be_read_costs_itself(caplog) -> None:
    odd = [{"listId": 1}, {"createdAt": "2016-05-24T17:05:54Z"}, "canary", {"listId": "3"}]
    async with serving(result(*odd)) as (marketo, _):
        page = await marketo.get_lists_by_lead_id(1)
        assert [each.list_id async for each in marketo.get_lists_by_lead_id(1)] == [1, 3]
    assert page.items == (ListMembership(list_id=1), ListMembership(list_id=3))
    assert page.unread == (odd[1], "canary")
    assert "2 items of a response of Marketo are unreadable" in caplog.text
    assert "canary" not in caplog.text + repr(page)


@virtual
async def test_leads_without_an_id_and_with_an_odd_membership() -> None:
    items = [{"id": 1, "membership": 5}, {"email": "a@x.com"}, None, {"id": "2", "membership": {"id": "x"}}]
    async with serving(result(*items)) as (marketo, _):
        page = await marketo.get_leads_by_program_id(1)
    assert [lead.id for lead in page.items] == [1, 2]
    assert len(page.unread) == 2


@virtual
async def test_odd_fields_of_a_schema_cost_themselves() -> None:
    schema = {
        "name": "API Lead",
        "searchableFields": [["email"], "id", 5, [7]],
        "fields": [{"name": "email", "updateable": "true", "length": "x"}, {"displayName": "?"}, None],
    }
    async with serving(result(schema)) as (marketo, _):
        found = await marketo.describe2()
    assert found.searchable_fields == (("email",), ("id",))
    assert [(field.name, field.updateable, field.length) for field in found.fields] == [("email", True, None)]


# Identity.


@virtual
async def test_identity_that_refuses_with_http_200_is_an_authentication_error() -> None:
    import httpx

    refusal = httpx.Response(200, json={"error": "unauthorized", "error_description": "canary"})
    async with serving(result(), lives=[refusal]) as (marketo, _):
        with pytest.raises(AuthenticationError, match="refused client_id or client_secret") as caught:
            await marketo.describe()
    assert caught.value.code == "unauthorized"
    assert "canary" not in str(caught.value)


# Where an iteration continues.


@virtual
async def test_the_error_of_an_iteration_has_the_token_of_its_page() -> None:
    pages = [result({"id": 1}, nextPageToken="A="), result({"id": 2}, nextPageToken="B=")]
    async with serving(*pages, refused("603"), result({"id": 3})) as (marketo, _):
        leads = aiter(marketo.get_leads_by_list_id(1))
        seen = [(await anext(leads)).id for _ in range(2)]
        with pytest.raises(ApiError) as caught:
            await anext(leads)
        assert caught.value.next_page_token == "B="
        token = caught.value.next_page_token
        seen += [lead.id async for lead in marketo.get_leads_by_list_id(1, next_page_token=token)]
    assert seen == [1, 2, 3]


@virtual
async def test_an_iteration_continues_after_an_error_of_a_page() -> None:
    async with serving(result({"id": 1}, nextPageToken="A="), refused("603"), result({"id": 2})) as (m, _):
        pages = m.get_leads_by_list_id(1).pages()
        first = await anext(pages)
        with pytest.raises(ApiError):
            await anext(pages)
        second = await anext(pages)
    assert [lead.id for lead in first.items + second.items] == [1, 2]


@virtual
async def test_a_token_that_is_too_old_does_not_say_that_the_list_no_longer_exists() -> None:
    async with serving(refused("702")) as (marketo, _):
        with pytest.raises(ApiError, match="token of the page may have expired") as caught:
            await marketo.get_leads_by_list_id(1, next_page_token="A=")
    assert type(caught.value) is ApiError
    assert caught.value.code == "702"
