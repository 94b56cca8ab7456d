"""Reading what comes in pages."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Hashable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import evolve, field, frozen

from publitrac_async.errors import UnexpectedContent
from publitrac_async.frames import forgetful, forgets

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Keys remembered to recognise an item that comes twice. Items move between neighbouring pages when
#: others are added or removed meanwhile, so the last ones are enough and memory stays bounded.
_REMEMBERED: Final = 20_000
#: Pages in a row that may be read without finding anything new, before the walk is given up.
_PATIENCE: Final = 50
#: Pages in a row that cannot be read, after which a walk that steps over them ends.
_UNREADABLE: Final = 5


@frozen
class Page(Generic[T]):
    """One page.

    Attributes:
        items: what is on it.
        number: from 1.
        size: items on a full page as the service says (100, and 200 for opportunities); ``None`` where
            the answer has no paging.
        total: items on all pages as the service says; ``None`` where the answer has no paging.
        repaired: what was repaired before the page could be read, by kind; empty for a good page. A repair
            changes characters, never which items and fields there are.
        unreadable: why the page could not be read, where a walk was asked to go on behind such pages; it has
            no items then.
    """

    items: tuple[T, ...]
    number: int
    size: int | None = None
    total: int | None = None
    repaired: Mapping[str, int] = field(factory=dict, kw_only=True)
    unreadable: UnexpectedContent | None = field(default=None, kw_only=True, eq=False)

    @property
    def pages(self) -> int | None:
        """How many pages there are, ``None`` where the answer does not say."""
        if self.total is None or not self.size:
            return None
        return math.ceil(self.total / self.size)


class Pager(Generic[T]):
    """All items of a list that the service hands out in pages.

    Nothing is sent until it is used: ``await pager`` gives the first `Page`, ``async for item in pager``
    every item once, ``async for page in pager.pages()`` the pages. To go on after an interruption, note
    ``page.number`` and start there: ``get_leads(page=number)``.

    The service does not promise that pages stand still. Items that were seen are skipped. When the total
    shrinks on the way, items may have moved to pages already read, so those are read again.

    Where the answer has no paging, or a total that its own page disproves, the list ends with the first
    page that brings nothing new.

    Raises:
        UnexpectedContent: the pages go in circles, or end before the announced total is reached.
    """

    def __init__(
        self,
        fetch: Callable[[int], Awaitable[Page[T]]],
        *,
        start: int = 1,
        key: Callable[[T], Hashable | None],
    ) -> None:
        self._fetch = forgetful(fetch)
        self._start = start
        self._key = key

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._start).__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return Items(self.pages())

    def pages(self, *, skip_unreadable: bool = False) -> AsyncIterator[Page[T]]:
        """Walk over the pages, each with only the items that were not on an earlier one.

        Args:
            skip_unreadable: go on behind a page that cannot be read. It arrives without items and says why
                in ``Page.unreadable``. Five of them in a row end the walk all the same.

        Raises:
            UnexpectedContent: as above, or a page cannot be read.
        """
        return _Pages(self._fetch, self._start, self._key, skip_unreadable=skip_unreadable)


@forgets
class _Pages(Generic[T]):
    """The walk over the pages. It holds no open answer between them, so it can be dropped anywhere."""

    def __init__(
        self,
        fetch: Callable[[int], Awaitable[Page[T]]],
        start: int,
        key: Callable[[T], Hashable | None],
        *,
        skip_unreadable: bool,
    ) -> None:
        self._skip_unreadable = skip_unreadable
        self._unreadable = 0
        #: Pages in all, as the last response with that figure says.
        self._pages: int | None = None
        self._fetch = fetch
        self._first = start
        self._next: int | None = start
        self._key = key
        self._seen: dict[Hashable, None] = {}
        #: Of the page before.
        self._items: tuple[T, ...] | None = None
        self._total: int | None = None
        self._furthest = start - 1
        self._idle = 0

    def __aiter__(self) -> _Pages[T]:
        return self

    async def __anext__(self) -> Page[T]:
        if self._next is None:
            raise StopAsyncIteration
        number = self._next
        try:
            page = await self._fetch(number)
        except UnexpectedContent as error:
            if not self._skip_unreadable or self._unreadable == _UNREADABLE:
                raise
            return self._stepped_over(number, error)
        self._unreadable = 0
        self._pages = page.pages
        # Past the end, some services answer with the last page.
        if page.number != number and (page.pages is None or number <= page.pages):
            raise UnexpectedContent(f"asked for page {number}, the service answered with page {page.number}")
        fresh = tuple(item for item in page.items if self._is_new(item))
        if page.pages is None or _holds_more_than_announced(page):
            # Such a list ends where nothing new comes.
            fresh = fresh if page.items != self._items else ()
            going_on = bool(fresh)
        else:
            going_on = number < page.pages
            repeats = going_on and not fresh and number > self._furthest
            if repeats or (not page.items and number <= page.pages):
                raise UnexpectedContent(
                    f"page {number} of {page.pages} has nothing new: "
                    "pages go in circles, or the total is wrong"
                )
        moved = self._moved_back(page)
        self._items, self._total = page.items, page.total
        self._furthest = max(self._furthest, number)
        self._idle = 0 if fresh else self._idle + 1
        if self._idle > _PATIENCE:
            raise UnexpectedContent(
                f"{self._idle} pages in a row had nothing new: the pages do not stand still"
            )
        if moved:
            self._next = max(self._first, number - moved)
        else:
            self._next = number + 1 if going_on else None
        if self._next is None and not fresh and number > self._first:
            raise StopAsyncIteration
        return evolve(page, items=fresh, number=number)

    def _stepped_over(self, number: int, error: UnexpectedContent) -> Page[T]:
        self._unreadable += 1
        self._items = None
        self._furthest = max(self._furthest, number)
        self._next = number + 1 if self._pages is None or number < self._pages else None
        return Page((), number, total=self._total, unreadable=error)

    def _is_new(self, item: T) -> bool:
        key = self._key(item)
        if key is None:
            return True
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _moved_back(self, page: Page[T]) -> int:
        """By how many pages items may have moved towards the front since the last page."""
        if self._total is None or page.total is None or not page.size or page.total >= self._total:
            return 0
        return math.ceil((self._total - page.total) / page.size)


def _holds_more_than_announced(page: Page[Any]) -> bool:
    """Whether the total cannot be right, because this page alone passes it."""
    return page.total is not None and (page.number - 1) * (page.size or 0) + len(page.items) > page.total


class HasItems(Protocol[T_co]):
    """A page, of whatever vendor."""

    @property
    def items(self) -> tuple[T_co, ...]:
        """What is on it."""
        ...


@forgets
class Items(Generic[T]):
    """The items of pages, one after the other."""

    def __init__(self, pages: AsyncIterator[HasItems[T]]) -> None:
        self._pages = pages
        self._items: tuple[T, ...] = ()
        self._position = 0

    def __aiter__(self) -> Items[T]:
        return self

    async def __anext__(self) -> T:
        while self._position >= len(self._items):
            self._items = (await anext(self._pages)).items
            self._position = 0
        item = self._items[self._position]
        self._position += 1
        return item
