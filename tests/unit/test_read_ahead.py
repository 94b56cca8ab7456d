"""Pages that are requested ahead: as fast as the limit allows, without missing an item."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async import (
    Page,
    Pager,
    PublitracClient,
    ServerError,
    UnexpectedContent,
    ValidationError,
    WindowLimiter,
)
from tests.support.clock import now, run_virtual, virtual


@define(eq=False)
class Library:
    """A list that is served in pages; a request sees its state after half of the response time."""

    items: list[Any]
    size: int = 3
    latency: Callable[[int], float] = lambda _: 0.1
    asked: list[int] = field(factory=list)
    under_way: int = 0
    cancelled: int = 0
    failing: dict[int, int] = field(factory=dict)

    async def fetch(self, number: int, on_sent: Callable[[], None] | None = None) -> Page[Any]:
        self.asked.append(number)
        self.under_way += 1
        try:
            await asyncio.sleep(0.01)
            if on_sent is not None:
                on_sent()
            seconds = self.latency(number)
            await asyncio.sleep(seconds / 2)
            part = tuple(self.items[(number - 1) * self.size : number * self.size])
            total = len(self.items)
            await asyncio.sleep(seconds / 2)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if self.failing.get(number, 0) > 0:
            self.failing[number] -= 1
            raise ServerError(f"page {number}")
        return Page(part, number, self.size, total)

    def pager(self, **options: Any) -> Pager[Any]:
        return Pager(self.fetch, **{"key": lambda item: item, "read_ahead": 100} | options)


async def collect(pager: Pager[Any]) -> list[Any]:
    return [item async for item in pager]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@virtual
async def test_every_item_is_yielded_once_and_in_order() -> None:
    library = Library(list(range(1000)), latency=lambda _: random.Random(7).uniform(0, 1))
    assert await collect(library.pager()) == list(range(1000))
    assert library.asked == list(range(1, 335))


@virtual
async def test_many_pages_are_in_flight_at_once() -> None:
    library, started = Library(list(range(300)), latency=lambda _: 2.0), now()
    await collect(library.pager())
    # 99 requests at intervals of a hundredth of a second, once the first page has given the total.
    assert now() - started == pytest.approx(2.01 + 0.01 * 99 + 2.0, abs=0.1)


@virtual
async def test_no_page_is_requested_before_the_first_one_is_used() -> None:
    library = Library(list(range(100)))
    pager = library.pager()
    pager.pages()
    await asyncio.sleep(1)
    assert library.asked == []
    assert (await pager).number == 1
    await asyncio.sleep(1)
    assert library.asked == [1]


@pytest.mark.parametrize("most", [1, 5, 20])
@virtual
async def test_no_more_pages_are_held_than_stated(most: int) -> None:
    library = Library(list(range(300)), latency=lambda _: 0.5)
    pages = library.pager(read_ahead=most).pages()
    for number in range(1, 50):
        page = await anext(pages)
        assert page.number == number
        await asyncio.sleep(0.1)
        assert len(library.asked) <= number + most


@virtual
async def test_a_caller_who_takes_his_time_finds_eight_pages_ready_and_not_a_hundred() -> None:
    library = Library(list(range(3000)))
    pages = library.pager().pages()
    for number in range(1, 20):
        await anext(pages)
        await asyncio.sleep(60)
        assert len(library.asked) <= number + 20
        assert library.under_way == 0


@virtual
async def test_without_reading_ahead_a_page_is_requested_when_it_is_needed() -> None:
    library = Library(list(range(30)))
    async for page in library.pager(read_ahead=0).pages():
        await asyncio.sleep(1)
        assert len(library.asked) == page.number


@virtual
async def test_it_continues_where_another_stopped() -> None:
    library = Library(list(range(100)))
    assert await collect(library.pager(start=10)) == list(range(27, 100))
    assert min(library.asked) == 10


@pytest.mark.parametrize("leave", ["break", "return", "aclose of the task"])
@virtual
async def test_leaving_the_loop_cancels_what_is_in_flight(leave: str) -> None:
    library = Library(list(range(3000)), latency=lambda _: 5.0)

    async def work() -> None:
        async for item in library.pager():
            if item == 4:
                if leave == "return":
                    return
                if leave == "break":
                    break
                await asyncio.sleep(1000)

    task = asyncio.create_task(work())
    await asyncio.sleep(12)
    if leave == "aclose of the task":
        assert library.under_way > 0
        task.cancel()
    await asyncio.wait([task])
    del task
    gc.collect()
    await settle()
    assert library.under_way == 0
    assert library.cancelled > 0


@virtual
async def test_a_hundred_loops_that_are_left_leave_nothing() -> None:
    library = Library(list(range(3000)), latency=lambda _: 1.0)
    for _ in range(100):
        async for _item in library.pager():
            break
    gc.collect()
    await settle()
    assert library.under_way == 0


@virtual
async def test_a_page_that_failed_is_an_error_when_its_turn_comes_and_can_be_requested_again() -> None:
    library = Library(list(range(30)), failing={4: 1})
    pages = library.pager().pages()
    for number in (1, 2, 3):
        page = await anext(pages)
        assert page.number == number
        await asyncio.sleep(5)  # The error happened long ago.
    with pytest.raises(ServerError, match="page 4"):
        await anext(pages)
    await settle()
    assert library.under_way == 0
    rest = [page.number async for page in pages]
    assert rest == list(range(4, 11))


@virtual
async def test_cancelling_a_waiting_caller_cancels_what_is_in_flight_and_it_can_continue() -> None:
    library = Library(list(range(30)), latency=lambda _: 5.0)
    pages = library.pager().pages()
    await anext(pages)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await anext(pages)
    await settle()
    assert library.under_way == 0
    assert library.cancelled == 9
    assert [page.number async for page in pages] == list(range(2, 11))


@virtual
async def test_pages_read_before_items_moved_are_read_again() -> None:
    library = Library(list(range(60)), latency=lambda number: 0.1 * number)
    asyncio.get_running_loop().call_later(0.2, library.items.__delitem__, slice(0, 3))
    found = await collect(library.pager())
    assert set(found) >= set(range(3, 60))
    assert len(found) == len(set(found))


@given(
    count=st.integers(0, 40),
    size=st.integers(1, 4),
    changes=st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 39), st.sampled_from(["remove", "insert"])), max_size=4
    ),
    seed=st.integers(0, 1000),
    most=st.sampled_from([0, 1, 3, 100]),
)
@settings(max_examples=150)
def test_items_that_stay_are_always_found(
    count: int, size: int, changes: list[tuple[float, int, str]], seed: int, most: int
) -> None:
    """Whatever moves meanwhile, and in whatever order the pages are read."""
    chance = random.Random(seed)

    async def main() -> None:
        library = Library(list(range(count)), size=size, latency=lambda _: chance.uniform(0, 1))
        removed = set[int]()

        def change(position: int, kind: str) -> None:
            if kind == "insert":
                library.items.insert(position, 1000 + len(library.items) + position)
            elif position < len(library.items):
                removed.add(library.items.pop(position))

        # A removal and an insertion between the same two requests hide from any reader: one kind at a time.
        kinds = {kind for _, _, kind in changes}
        for at, position, kind in changes:
            if len(kinds) == 1:
                asyncio.get_running_loop().call_later(at, change, position, kind)
        found = list[Any]()
        try:
            async for item in library.pager(read_ahead=most):
                found.append(item)
        except UnexpectedContent:
            return  # Pages of one or two items can consist only of known ones.
        await asyncio.sleep(5)
        assert len(found) == len(set(found))
        assert set(range(count)) - removed <= set(found)

    run_virtual(main())


# With a client


def leads_page(number: int, total: int) -> httpx.Response:
    leads = "".join(
        f"<lead><id>{i}</id><email>a{i}@example.com</email></lead>"
        for i in range((number - 1) * 100, min(number * 100, total))
    )
    count = min(100, total - (number - 1) * 100)
    paging = f"<page>{number}</page><offset>100</offset><items>{count}</items><total>{total}</total>"
    text = f"<response><status>2003</status><leads>{leads}</leads><paging>{paging}</paging></response>"
    return httpx.Response(200, content=text.encode())


@pytest.mark.parametrize("latency", [0.05, 0.4, 2.0])
@virtual
async def test_pages_use_nine_tenths_of_the_limit_after_two_seconds(latency: float) -> None:
    arrivals, started, total = list[float](), now(), 20_000

    async def handler(request: httpx.Request) -> httpx.Response:
        arrivals.append(now() - started)
        await asyncio.sleep(latency)
        return pages[int(request.url.params.get("page", 1))]

    pages = {number: leads_page(number, total) for number in range(1, total // 100 + 1)}
    limiter = WindowLimiter(35, clock=now)
    publitrac = PublitracClient(
        api_key="k", username="u", password="p", limiter=limiter, transport=httpx.MockTransport(handler)
    )
    publitrac._transport.gate._clock = now  # type: ignore[attr-defined]  # it is the adaptive one
    numbers = [page.number async for page in publitrac.v1.get_leads().pages()]
    assert numbers == list(range(1, total // 100 + 1))
    end = arrivals[-1]
    assert sum(1 for at in arrivals if 2 <= at < end) / (end - 2) >= 0.9 * 35
    assert len(arrivals) == total // 100
    await publitrac.aclose()


async def test_a_number_of_pages_without_sense_is_refused() -> None:
    publitrac = PublitracClient(api_key="k", username="u", password="p")
    with pytest.raises(ValidationError):
        publitrac.v1.get_leads(read_ahead=-1)
