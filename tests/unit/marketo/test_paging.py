"""Where an iteration over pages ends, and where it continues."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import RateLimited, UnexpectedContent
from publitrac_async.marketo import MarketoPage
from tests.support.clock import now, run_virtual, virtual
from tests.support.marketo import Sent, refused, result, serving


def page(*ids: int, **more: Any) -> dict[str, Any]:
    return result(*({"id": number} for number in ids), **more)


async def ids_of(*responses: Any) -> list[int]:
    async with serving(*responses) as (marketo, _):
        return [lead.id async for lead in marketo.get_leads_by_list_id(1)]


@virtual
async def test_a_token_alone_means_more() -> None:
    assert await ids_of(page(1, nextPageToken="A="), page(2, nextPageToken="B="), page(3)) == [1, 2, 3]


@virtual
async def test_no_more_result_ends_the_walk_although_there_is_a_token() -> None:
    assert await ids_of(page(1, nextPageToken="A=", moreResult=False), page(2)) == [1]


@virtual
async def test_more_result_without_a_token_is_an_error_and_not_the_end() -> None:
    with pytest.raises(UnexpectedContent, match="no token for it"):
        await ids_of(page(1, moreResult=True), page(2))


@virtual
async def test_an_empty_page_is_not_the_end() -> None:
    responses = [
        page(nextPageToken="A=", moreResult=True),
        page(nextPageToken="B="),
        page(1, nextPageToken="C=", moreResult=True),
        page(nextPageToken="D=", moreResult=True),
        page(2, moreResult=False),
    ]
    assert await ids_of(*responses) == [1, 2]


@virtual
async def test_an_empty_list() -> None:
    assert await ids_of(page()) == []


@virtual
@pytest.mark.fault("F26")
async def test_pages_that_go_in_circles_are_noticed_after_they_were_read() -> None:
    responses = [page(1, nextPageToken="A="), page(2, nextPageToken="B="), page(3, nextPageToken="A=")]
    async with serving(*responses) as (marketo, service):
        leads = aiter(marketo.get_leads_by_list_id(1))
        seen = [(await anext(leads)).id for _ in range(3)]
        with pytest.raises(UnexpectedContent, match="pages repeat"):
            await anext(leads)
    assert seen == [1, 2, 3]
    assert len(service.sent) == 3


@virtual
async def test_awaited_it_is_one_page_with_the_token_for_the_next() -> None:
    async with serving(page(1, nextPageToken="A==")) as (marketo, service):
        pager = marketo.get_leads_by_list_id(1)
        assert not service.sent
        first = await pager
        assert first.next_page_token == "A=="
        await marketo.get_leads_by_list_id(1, next_page_token=first.next_page_token)
    assert [dict(sent.query) for sent in service.sent] == [{}, {"nextPageToken": "A=="}]
    assert "A%3D%3D" in service.sent[1].target


@virtual
async def test_the_parameters_go_with_every_page() -> None:
    async with serving(page(1, nextPageToken="A="), page(2)) as (marketo, service):
        pager = marketo.get_leads_by_program_id(5, fields=["email"], batch_size=7)
        assert [each.id async for each in pager] == [1, 2]
        assert [each.id async for each in pager] == [2]  # A pager starts again each time.
    expected = {"fields": "email", "batchSize": "7"}
    assert [dict(sent.query) for sent in service.sent] == [
        expected,
        expected | {"nextPageToken": "A="},
        expected,
    ]


@virtual
async def test_an_error_does_not_lose_the_place() -> None:
    async with serving(page(1, nextPageToken="A="), *[refused("606")] * 4, page(2)) as (marketo, service):
        pages = marketo.get_leads_by_list_id(1).pages()
        first = await anext(pages)
        with pytest.raises(RateLimited):
            await anext(pages)
        resumed = marketo.get_leads_by_list_id(1, next_page_token=first.next_page_token)
        assert [lead.id async for lead in resumed] == [2]
    assert {dict(sent.query)["nextPageToken"] for sent in service.sent[1:]} == {"A="}


@virtual
async def test_the_next_page_is_on_its_way_while_the_caller_works() -> None:
    async def slow(sent: Sent) -> dict[str, Any]:
        await asyncio.sleep(2.0)
        return page(2, nextPageToken=dict(sent.query)["nextPageToken"] + "=")

    async with serving(page(1, nextPageToken="A="), slow, slow, page(3)) as (marketo, service):
        pages, started = marketo.get_leads_by_list_id(1).pages(), now()
        seen = []
        async for each in pages:
            await asyncio.sleep(2.0)
            seen.append(each.items[0].id)
            assert len(service.sent) == min(len(seen) + 1, 4)  # One page ahead, never two.
    assert seen == [1, 2, 2, 3]
    assert now() - started == pytest.approx(8.0)


@virtual
async def test_a_caller_who_leaves_cancels_the_request_of_the_next_page() -> None:
    cancelled = asyncio.Event()

    async def slow(_: object) -> dict[str, Any]:
        try:
            await asyncio.sleep(3600.0)
        finally:
            cancelled.set()
        return page(2)

    async with serving(page(1, nextPageToken="A="), slow) as (marketo, _):
        async for _lead in marketo.get_leads_by_list_id(1):
            await asyncio.sleep(1.0)
            break
        gc.collect()
        await asyncio.wait_for(cancelled.wait(), 1.0)


@virtual
async def test_cancelling_a_waiting_caller_cancels_the_request_and_it_can_continue() -> None:
    cancelled = asyncio.Event()

    async def slow(_: object) -> dict[str, Any]:
        try:
            await asyncio.sleep(3600.0)
        finally:
            cancelled.set()
        return page(0)

    async with serving(page(1, nextPageToken="A="), slow, page(2)) as (marketo, _):
        pages = marketo.get_leads_by_list_id(1).pages()
        await anext(pages)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await anext(pages)
        await asyncio.wait_for(cancelled.wait(), 1.0)
        assert [each.items[0].id async for each in pages] == [2]


@virtual
async def test_a_page_ahead_that_fails_is_requested_again() -> None:
    async with serving(page(1, nextPageToken="A="), *[refused("606")] * 4, page(2)) as (marketo, _):
        pages = marketo.get_leads_by_list_id(1).pages()
        await anext(pages)
        with pytest.raises(RateLimited) as caught:
            await anext(pages)
        assert caught.value.next_page_token == "A="
        assert [lead.id for lead in (await anext(pages)).items] == [2]


@given(st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=8), st.booleans())
def test_every_item_of_every_page_is_yielded_once_and_in_order(
    pages: list[list[int]], says_more: bool
) -> None:
    last = len(pages) - 1
    responses = [
        page(
            *ids,
            **({"nextPageToken": f"{place}="} if place < last else {}),
            **({"moreResult": place < last} if says_more else {}),
        )
        for place, ids in enumerate(pages)
    ]
    assert run_virtual(ids_of(*responses)) == [number for ids in pages for number in ids]


def test_a_page_says_what_it_is() -> None:
    assert repr(MarketoPage((1, 2), "A=")) == "MarketoPage(items=(1, 2), next_page_token='A=')"
