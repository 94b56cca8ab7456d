"""Iterating over pages that move, repeat themselves, end early or have wrong totals."""

from __future__ import annotations

import math

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import Page, Pager, ServerError, UnexpectedContent


@define
class Shelf:
    """A list that is served in pages, and changes as the test defines."""

    items: list
    size: int | None = 3
    total: int | None = None  #: the total in responses; the true one by default
    paging: bool = True
    changes: dict = field(factory=dict)  #: before request n: a function that changes the items
    asked: list = field(factory=list)

    async def fetch(self, number: int) -> Page:
        self.asked.append(number)
        change = self.changes.get(len(self.asked))
        if change:
            change(self)
        size = self.size or 3
        part = tuple(self.items[(number - 1) * size : number * size])
        if not self.paging:
            return Page(part, number)
        return Page(part, number, self.size, len(self.items) if self.total is None else self.total)

    def pager(self, **options) -> Pager:
        return Pager(self.fetch, **{"key": lambda item: item} | options)


async def collect(pager: Pager) -> list:
    return [item async for item in pager]


class TestPager:
    async def test_awaiting_gives_the_first_page(self):
        shelf = Shelf(list("abcdefg"))
        page = await shelf.pager()
        assert (page.items, page.number, page.size, page.total, page.pages) == (tuple("abc"), 1, 3, 7, 3)
        assert shelf.asked == [1]

    async def test_no_request_is_made_before_it_is_used(self):
        shelf = Shelf(list("abc"))
        shelf.pager()
        shelf.pager().pages()
        assert shelf.asked == []

    async def test_iterating_gives_every_item(self):
        shelf = Shelf(list("abcdefg"))
        assert await collect(shelf.pager()) == list("abcdefg")
        assert shelf.asked == [1, 2, 3]

    async def test_a_full_last_page_is_not_followed_by_another_request(self):
        shelf = Shelf(list("abcdef"))
        assert await collect(shelf.pager()) == list("abcdef")
        assert shelf.asked == [1, 2]

    async def test_pages_are_iterated_in_order(self):
        pages = [page async for page in Shelf(list("abcdefg")).pager().pages()]
        assert [page.items for page in pages] == [tuple("abc"), tuple("def"), ("g",)]
        assert [page.number for page in pages] == [1, 2, 3]

    async def test_an_empty_list(self):
        shelf = Shelf([])
        assert await collect(shelf.pager()) == []
        assert (await shelf.pager()).items == ()
        assert [page.items async for page in shelf.pager().pages()] == [()]

    async def test_it_can_be_used_again_from_the_start(self):
        pager = Shelf(list("abcd")).pager()
        assert await collect(pager) == await collect(pager) == list("abcd")
        assert (await pager).items == (await pager).items

    async def test_it_continues_where_another_stopped(self):
        shelf = Shelf(list("abcdefg"))
        async for page in shelf.pager().pages():
            if page.number == 2:
                break
        assert await collect(shelf.pager(start=page.number)) == list("defg")

    async def test_a_start_past_the_end_finds_nothing(self):
        shelf = Shelf(list("abc"))
        assert await collect(shelf.pager(start=9)) == []
        assert shelf.asked == [9]

    async def test_a_page_that_failed_can_be_requested_again(self):
        shelf = Shelf(list("abcdefg"))

        def fail(_):
            raise ServerError("down")

        shelf.changes[2] = fail
        walk = aiter(shelf.pager())
        found = [await anext(walk) for _ in range(3)]
        with pytest.raises(ServerError):
            await anext(walk)
        assert found + [item async for item in walk] == list("abcdefg")
        assert shelf.asked == [1, 2, 2, 3]

    async def test_an_iteration_that_ended_stays_ended(self):
        walk = aiter(Shelf(["a"]).pager())
        assert [item async for item in walk] == ["a"]
        assert [item async for item in walk] == []


class TestUnreadablePages:
    """A page that cannot be read is skipped, not the rest of the pages."""

    @staticmethod
    def broken(shelf, *numbers):
        async def fetch(number):
            page = await shelf.fetch(number)
            if number in numbers:
                raise UnexpectedContent("not well-formed")
            return page

        return Pager(fetch, key=lambda item: item)

    async def test_an_iteration_ends_there_unless_it_is_asked_to_continue(self):
        pager = self.broken(Shelf(list("abcdefghi")), 2)
        pages = pager.pages()
        assert (await anext(pages)).items == tuple("abc")
        with pytest.raises(UnexpectedContent):
            await anext(pages)

    @pytest.mark.parametrize("paging", [True, False])
    @pytest.mark.parametrize("number", [1, 2, 3])
    async def test_it_can_continue_behind_the_page(self, number, paging):
        shelf = Shelf(list("abcdefghi"), paging=paging)
        pages = [page async for page in self.broken(shelf, number).pages(skip_unreadable=True)]
        missing = "abcdefghi"[(number - 1) * 3 : number * 3]
        assert "".join(item for page in pages for item in page.items) == "abcdefghi".replace(missing, "")
        unreadable = [page for page in pages if page.unreadable is not None]
        assert [(page.number, page.items) for page in unreadable] == [(number, ())]
        assert isinstance(unreadable[0].unreadable, UnexpectedContent)

    async def test_five_in_a_row_are_enough(self):
        shelf = Shelf([*range(90)])
        pages = self.broken(shelf, *range(2, 90)).pages(skip_unreadable=True)
        with pytest.raises(UnexpectedContent):
            async for _ in pages:
                pass
        assert shelf.asked == [1, 2, 3, 4, 5, 6, 7]

    async def test_other_errors_are_not_stepped_over(self):
        async def fetch(number):
            raise ServerError("away")

        with pytest.raises(ServerError):
            async for _ in Pager(fetch, key=lambda item: item).pages(skip_unreadable=True):
                pass


class TestMovingPages:
    async def test_an_item_seen_twice_is_yielded_once(self):
        shelf = Shelf(list("abcdef"), changes={2: lambda s: s.items.insert(0, "new")})
        assert await collect(shelf.pager()) == list("abcdef")

    async def test_an_item_that_moves_to_a_page_already_read_is_not_lost(self):
        shelf = Shelf(list("abcdefghi"), changes={2: lambda s: s.items.remove("a")})
        assert sorted(await collect(shelf.pager())) == list("abcdefghi")

    async def test_many_removals_at_once(self):
        def remove(shelf):
            del shelf.items[:7]

        shelf = Shelf([f"{number:02}" for number in range(30)], changes={6: remove})
        assert sorted(await collect(shelf.pager())) == [f"{number:02}" for number in range(30)]

    async def test_the_list_shrinks_below_the_page_that_is_requested(self):
        def remove(shelf):
            shelf.items = shelf.items[:4]

        shelf = Shelf(list("abcdefghi"), changes={3: remove})
        assert await collect(shelf.pager()) == list("abcdef")

    async def test_a_service_that_repeats_the_last_page_past_the_end(self):
        items, asked = list("abcdefghi"), []

        async def fetch(number):
            asked.append(number)
            if len(asked) == 3:
                del items[4:]
            last = max(1, math.ceil(len(items) / 3))
            number = min(number, last)
            return Page(tuple(items[number * 3 - 3 : number * 3]), number, 3, len(items))

        assert await collect(Pager(fetch, key=str)) == list("abcdef")

    async def test_a_list_that_grows_is_read_to_its_new_end(self):
        shelf = Shelf(list("abcd"), changes={2: lambda s: s.items.extend("efgh")})
        assert await collect(shelf.pager()) == list("abcdefgh")

    @given(
        st.integers(0, 40),
        st.integers(1, 7),
        st.dictionaries(st.integers(2, 20), st.lists(st.integers(0, 39), max_size=5), max_size=6),
    )
    async def test_items_that_stay_are_always_found(self, count, size, removals):
        """Items are removed between requests; every item that is kept to the end is yielded exactly once."""

        def remover(numbers):
            def remove(shelf):
                shelf.items = [item for item in shelf.items if item not in numbers]

            return remove

        shelf = Shelf(list(range(count)), size, changes={n: remover(set(r)) for n, r in removals.items()})
        found = await collect(shelf.pager())
        assert len(found) == len(set(found))
        assert set(shelf.items) <= set(found) <= set(range(count))


class TestLies:
    async def test_a_total_that_is_too_large_is_not_believed(self):
        shelf = Shelf(list("abcd"), total=9)
        with pytest.raises(UnexpectedContent, match="page 3 of 3 has no new item"):
            await collect(shelf.pager())
        assert shelf.asked == [1, 2, 3]

    @pytest.mark.parametrize("total", [0, 1, 2])
    async def test_a_total_that_its_own_page_disproves_is_not_believed(self, total):
        shelf = Shelf(list("abcdefg"), total=total)
        assert await collect(shelf.pager()) == list("abcdefg")

    @pytest.mark.fault("F26")
    async def test_pages_that_go_in_circles(self):
        async def fetch(number):
            return Page(("a", "b", "c"), number, 3, 900)

        with pytest.raises(UnexpectedContent, match="pages repeat"):
            await collect(Pager(fetch, key=str))

    async def test_a_total_that_keeps_falling(self):
        totals = iter(range(10_000, 0, -10))

        async def fetch(number):
            return Page((number % 3,), number, 3, next(totals))

        with pytest.raises(UnexpectedContent, match="the list changes too fast"):
            await collect(Pager(fetch, key=str))

    async def test_another_page_than_the_requested_one(self):
        async def fetch(number):
            return Page(("a",), 1, 1, 5)

        with pytest.raises(UnexpectedContent, match="sent page 1 in response to a request for page 2"):
            await collect(Pager(fetch, key=str))

    @pytest.mark.parametrize("size", [0, None])
    async def test_a_size_that_is_missing(self, size):
        shelf = Shelf(list("abcd"), size=size, total=4)
        assert await collect(shelf.pager()) == list("abcd")

    @pytest.mark.parametrize(("size", "total"), [(3, None), (None, 9), (0, 9)])
    def test_how_many_pages_is_not_known(self, size, total):
        assert Page((), 1, size, total).pages is None


class TestWithoutPaging:
    async def test_it_ends_with_an_empty_page(self):
        shelf = Shelf(list("abcdef"), paging=False)
        assert await collect(shelf.pager()) == list("abcdef")
        assert shelf.asked == [1, 2, 3]

    async def test_it_ends_when_the_page_is_ignored(self):
        asked = []

        async def fetch(number):
            asked.append(number)
            return Page(("a", "b"), number)

        assert await collect(Pager(fetch, key=str)) == ["a", "b"]
        assert asked == [1, 2]

    async def test_it_ends_even_if_nothing_tells_the_items_apart(self):
        async def fetch(number):
            return Page(({"name": "a"}, {"name": "b"}), number)

        assert await collect(Pager(fetch, key=lambda _: None)) == [{"name": "a"}, {"name": "b"}]

    async def test_the_empty_page_at_the_end_is_not_returned(self):
        pages = [page.items async for page in Shelf(list("abc"), paging=False).pager().pages()]
        assert pages == [tuple("abc")]


async def test_memory_stays_bounded_and_neighbours_are_still_recognised():
    total = 30_000

    async def fetch(number):
        start = (number - 1) * 1000 - (
            1 if number > 1 else 0
        )  # Each page repeats the last item of the page before.
        return Page(tuple(range(start, min(number * 1000, total))), number, 1000, total)

    pages = Pager(fetch, key=lambda item: item).pages()
    found = [item async for page in pages for item in page.items]
    assert found == list(range(total))
    assert len(pages._seen) <= 20_000
