"""Responses that are not quite what Marketo documents: an odd item costs its record, not the batch."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from publitrac_async import ApiError, AuthenticationError, LeadNotFound, UnexpectedContent
from publitrac_async.marketo import ListMembership, NewLeadField, RecordResult, prepare_lead
from publitrac_async.marketo import responses as reading
from tests.support.clock import virtual
from tests.support.marketo import refused, response, result, serving

LEADS = [{"email": f"{number}@x.com"} for number in range(3)]
GOOD = {"id": 1, "status": "updated"}


async def sync(odd: Any) -> RecordResult:
    """The result of a record between two good ones."""
    async with serving(result(GOOD, odd, GOOD)) as (marketo, _):
        first, second, third = await marketo.sync_leads(LEADS)
    assert first.ok
    assert third.ok
    return second


ODD: dict[str, Any] = {
    "null": None,
    "text": "seven",
    "number": 7,
    "empty": {},
    "no status": {"id": 7},
    "list as status": {"id": 7, "status": ["x"]},
    "failed": {"id": 7, "status": "failed"},
    "queued": {"id": 7, "status": "queued"},
    "empty status": {"id": 7, "status": ""},
    "text as id": {"id": "seven", "status": "updated"},
    "flag as id": {"id": True, "status": "updated"},
    "number as reasons": {"id": 7, "status": "updated", "reasons": 5},
    "numbers in reasons": {"id": 7, "status": "skipped", "reasons": [5]},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_result_is_the_unknown_outcome_of_its_record(odd: Any) -> None:
    @virtual
    async def main() -> None:
        found = await sync(odd)
        assert not found.ok
        assert type(found.error) is UnexpectedContent
        assert found.error.maybe_applied
        assert "seven" not in str(found.error)

    main()


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7, "status": "updated", "reasons": None},
        {"id": 7, "status": "updated", "reasons": []},
        {"id": "7", "status": "created", "reason": None},
        {"id": 7, "status": "deleted", "seq": 1, "marketoGUID": "x"},
        {"id": 7, "status": "warning"},
        {"id": 7, "status": "Updated"},
    ],
)
def test_a_result_with_nothing_against_it_is_a_success(odd: Any) -> None:
    @virtual
    async def main() -> None:
        found = await sync(odd)
        assert found.ok
        assert found.id == 7

    main()


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7, "status": "skipped", "reasons": [{"code": "1005", "message": "Lead already exists"}]},
        {"id": 7, "status": "skipped", "reason": {"code": "1005", "message": "Lead already exists"}},
        {"id": 7, "status": "skipped", "reason": [{"code": 1005, "message": "Lead already exists"}]},
        {"id": 7, "status": "skipped", "reasons": {"code": "1005", "message": None}},
        {"id": 7, "reasons": [{"code": "1005"}]},
    ],
)
def test_reasons_are_read_whatever_their_form(odd: Any) -> None:
    @virtual
    async def main() -> None:
        found = await sync(odd)
        assert [reason.code for reason in found.reasons] == ["1005"]
        assert "exists already" in str(found.error)

    main()


def test_a_reason_that_is_mere_text_has_no_code() -> None:
    @virtual
    async def main() -> None:
        found = await sync({"status": "skipped", "reasons": ["No such thing"]})
        assert (found.reasons[0].code, found.reasons[0].message) == ("", "No such thing")
        assert type(found.error) is ApiError
        assert found.error.code is None

    main()


@virtual
async def test_a_result_has_its_record_and_shows_it_nowhere() -> None:
    secret = {"email": "canary@x.com"}
    async with serving(result(GOOD)) as (marketo, _):
        (synced,) = await marketo.sync_leads([secret])
        (pushed,) = await marketo.push_leads([secret], program_name="P")
        (deleted,) = await marketo.delete_leads([5])
        form = await marketo.submit_form(form_id=1, lead_form_fields=secret)
        field = NewLeadField(display_name="A", name="a", data_type="string")
        (created,) = await marketo.create_lead_fields([field])
    assert synced.input is pushed.input is form.input is secret
    assert deleted.input == {"id": 5}
    assert created.input is field
    assert "canary" not in repr([synced, pushed, form])


def updated(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "status": "updated", **more}


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([updated(12, seq=2), updated(10, seq=0), updated(11, seq=1)], [10, 11, 12]),
        ([updated(12, seq="2"), updated(10, seq="0"), updated(11, seq="1")], [10, 11, 12]),
        ([updated(1, seq=0), updated(2, seq=0), updated(3, seq=0)], [1, 2, 3]),
        ([updated(12, seq=2), updated(10, seq=0)], [10, None, 12]),
        ([updated(12, seq=2), updated(10, seq=0), updated(11)], [10, None, 12]),
    ],
)
def test_results_with_the_index_of_their_record_may_have_any_order(items: Any, found: Any) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(*items)) as (marketo, _):
            results = await marketo.sync_leads(LEADS)
        assert [each.id for each in results] == found
        assert [each.error is None for each in results] == [number is not None for number in found]
        assert all(each.error is None or each.error.maybe_applied for each in results)

    main()


@pytest.mark.parametrize(
    "items",
    [
        [updated(1, seq=1), updated(2, seq=2), updated(3, seq=3)],
        [updated(1, seq=0), updated(2, seq=0), updated(3, seq=1)],
        [updated(1), updated(2)],
        [updated(1), updated(2), updated(3), updated(4)],
    ],
)
def test_results_that_cannot_be_matched_leave_the_outcome_unknown(items: Any) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(*items)) as (marketo, _):
            with pytest.raises(UnexpectedContent) as caught:
                await marketo.sync_leads(LEADS, action="createOnly")
        assert caught.value.maybe_applied

    main()


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([updated(5), updated(6), updated(7)], [5, 6, 7]),
        ([updated(7), updated("5"), updated(6)], [5, 6, 7]),
        ([updated(7), updated(6)], [None, 6, 7]),
        ([updated(5), updated(99), updated(7)], [5, None, 7]),
        ([updated(5), {"status": "skipped", "reasons": [{"code": "1004"}]}, updated(7)], [5, "1004", 7]),
    ],
)
def test_results_belong_to_the_ids_of_the_call(items: Any, found: Any) -> None:
    @virtual
    async def main() -> None:
        async with serving(result(*items)) as (marketo, _):
            calls = [
                await marketo.delete_leads([5, 6, 7]),
                await marketo.update_lead_partition({5: "A", 6: "B", 7: "C"}),
                await marketo.sync_leads(
                    [{"id": 5}, {"id": "6"}, prepare_lead({"id": 7}, action="updateOnly")],
                    action="updateOnly",
                    lookup_field="id",
                ),
            ]
        for results in calls:
            assert [each.id or (each.error and each.error.code) for each in results] == found

    main()


@virtual
async def test_a_deleted_lead_that_is_another_one_is_no_success() -> None:
    async with serving(result({"id": 7, "status": "deleted"})) as (marketo, _):
        (found,) = await marketo.delete_leads([5])
    assert type(found.error) is UnexpectedContent
    assert found.input == {"id": 5}


@pytest.mark.parametrize("code", ["602", "606", "607", "611", "713", "1029"])
def test_a_record_that_was_skipped_for_a_temporary_cause_may_be_sent_again(code: str) -> None:
    @virtual
    async def main() -> None:
        found = await sync({"status": "skipped", "reasons": [{"code": code, "message": "x"}]})
        assert type(found.error) is ApiError
        assert (found.error.retryable, found.error.maybe_applied) == (True, False)

    main()


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "errors": [{"code": "610", "message": "x"}]},
        {"success": True, "result": [], "errors": [{"code": "610", "message": "x"}]},
        {"success": False, "errors": {"code": 610, "message": "x"}},
        {"success": False, "errors": [{"code": 610, "message": None}]},
    ],
)
def test_errors_count_whatever_their_form(body: Any) -> None:
    @virtual
    async def main() -> None:
        async with serving(body) as (marketo, _):
            with pytest.raises(ApiError) as caught:
                await marketo.get_leads_by_filter_type("email", ["a@x.com"])
        assert caught.value.code == "610"

    main()


@virtual
async def test_a_merge_that_is_skipped_without_a_reason_is_an_error() -> None:
    async with serving(result({"id": 1, "status": "skipped"})) as (marketo, _):
        with pytest.raises(ApiError, match="skipped without a reason"):
            await marketo.merge_leads(1, [2])


@virtual
async def test_a_record_that_is_skipped_by_an_operation_without_results_is_an_error() -> None:
    skipped = {"id": 1, "status": "skipped", "reasons": [{"code": "1004", "message": "Lead not found"}]}
    async with serving(result(skipped), result({"id": 1, "status": "updated"})) as (marketo, _):
        with pytest.raises(LeadNotFound):
            await marketo.merge_leads(1, [2])
        await marketo.merge_leads(1, [2])


@virtual
async def test_a_number_is_a_token_of_a_page() -> None:
    async with serving(result({"id": 1}, nextPageToken=5), result({"id": 2})) as (marketo, service):
        assert [lead.id async for lead in marketo.get_leads_by_list_id(1)] == [1, 2]
    assert "nextPageToken=5" in str(service.sent[-1])


@virtual
async def test_records_of_several_calls_keep_their_places() -> None:
    leads = [{"email": f"{number}@x.com"} for number in range(301)]
    async with serving(result(*[GOOD] * 300), result(GOOD)) as (marketo, _):
        done = await marketo.sync_leads(leads)
    assert [each.input for each in done] == leads


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
    assert "2 items of a response of Marketo could not be read" in caplog.text
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


# Where an iteration goes on.


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
async def test_a_walk_goes_on_after_an_error_of_a_page() -> None:
    async with serving(result({"id": 1}, nextPageToken="A="), refused("603"), result({"id": 2})) as (m, _):
        pages = m.get_leads_by_list_id(1).pages()
        first = await anext(pages)
        with pytest.raises(ApiError):
            await anext(pages)
        second = await anext(pages)
    assert [lead.id for lead in first.items + second.items] == [1, 2]


@virtual
async def test_a_token_that_is_too_old_does_not_say_that_the_list_is_gone() -> None:
    async with serving(refused("702")) as (marketo, _):
        with pytest.raises(ApiError, match="token of the page may be too old") as caught:
            await marketo.get_leads_by_list_id(1, next_page_token="A=")
    assert type(caught.value) is ApiError
    assert caught.value.code == "702"
