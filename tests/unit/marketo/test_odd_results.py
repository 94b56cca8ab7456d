"""Results that differ from Marketo's documents: an odd one fails its record, not the batch."""

from __future__ import annotations

from typing import Any

import pytest

from publitrac_async import ApiError, LeadNotFound, UnexpectedContent
from publitrac_async.marketo import NewLeadField, RecordResult, prepare_lead
from tests.support.clock import virtual
from tests.support.marketo import GOOD, result, serving

LEADS = [{"email": f"{number}@x.com"} for number in range(3)]


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
        with pytest.raises(ApiError, match="Marketo skipped the record without a reason"):
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
