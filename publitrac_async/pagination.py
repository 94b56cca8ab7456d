"""Reading of lists that the service returns in pages."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import evolve, field, frozen

from publitrac_async.errors import PublitracError, UnexpectedContent
from publitrac_async.frames import forgetful, forgets
from publitrac_async.read_ahead import Fetch, ReadAhead

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
            the response has no paging.
        total: items on all pages as the service says; ``None`` where the response has no paging.
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
        """The number of pages, ``None`` where the response does not say."""
        if self.total is None or not self.size:
            return None
        return math.ceil(self.total / self.size)


class Pager(Generic[T]):
    """All items of a list that the service returns in pages.

    Nothing is sent until it is used: ``await pager`` gives the first `Page`, ``async for item in pager``
    every item once, ``async for page in pager.pages()`` the pages. To go on after an interruption, note
    ``page.number`` and start there: ``get_leads(page=number)``.

    When the first page says how many there are, the next ones are asked for while you work on it: as many at
    once as rate limit and latency allow, and `read_ahead` pages at most are held or under way. Leaving the
    loop cancels what is under way. ``read_ahead=0`` asks for a page when you need it.

    The service does not promise that pages keep their items. Items that were seen are skipped. When the total
    shrinks on the way, items may have moved to pages already read, so those are read again.

    Where the response has no paging, or a total that its own page disproves, the list ends with the first
    page that brings nothing new.

    Raises:
        UnexpectedContent: the pages go in circles, or end before the announced total is reached.
    """

    def __init__(
        self,
        fetch: Fetch[Page[T]],
        *,
        start: int = 1,
        key: Callable[[T], Hashable | None],
        read_ahead: int = 0,
    ) -> None:
        self._fetch: Fetch[Page[T]] = forgetful(fetch)
        self._start = start
        self._key = key
        self._read_ahead = read_ahead

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._start).__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return Items(self.pages())

    def pages(self, *, skip_unreadable: bool = False) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, each with the items alone that were not on an earlier one.

        Args:
            skip_unreadable: go on behind a page that cannot be read. It arrives without items and says why
                in ``Page.unreadable``. Five of them in a row end the walk all the same.

        Raises:
            UnexpectedContent: as above, or a page cannot be read.
        """
        reader = ReadAhead(self._fetch, self._read_ahead)
        return _Pages(reader, self._start, self._key, skip_unreadable=skip_unreadable)


@forgets
class _Pages(Generic[T]):
    """The walk over the pages. It can be dropped anywhere."""

    def __init__(
        self,
        reader: ReadAhead[Page[T]],
        start: int,
        key: Callable[[T], Hashable | None],
        *,
        skip_unreadable: bool,
    ) -> None:
        self._skip_unreadable = skip_unreadable
        self._unreadable = 0
        #: Pages in all, as the last response with that figure says.
        self._pages: int | None = None
        self._reader = reader
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
            page = await self._reader.page(number)
        except UnexpectedContent as error:
            if not self._skip_unreadable or self._unreadable == _UNREADABLE:
                self._reader.stop()
                raise
            return self._step_over(number, error)
        except PublitracError:
            self._reader.stop()
            raise
        try:
            fresh = self._step(number, page)
        except UnexpectedContent:
            self._reader.stop()
            raise
        if fresh is None:
            raise StopAsyncIteration
        return fresh

    def _step(self, number: int, page: Page[T]) -> Page[T] | None:
        """Take note of a page, decide on the next one, and return the page with its new items.

        Returns:
            The page, ``None`` for an empty one at the end.
        """
        self._unreadable = 0
        self._pages = page.pages
        # Past the end, some services respond with the last page.
        if page.number != number and (page.pages is None or number <= page.pages):
            raise UnexpectedContent(f"asked for page {number}, the service responded with page {page.number}")
        fresh = tuple(item for item in page.items if self._is_new(item))
        lists_all = page.pages is not None and not _holds_more_than_announced(page)
        if page.pages is None or not lists_all:
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
        self._reader.prepare(self._next, page.pages if lists_all else None)
        if self._next is None and not fresh and number > self._first:
            return None
        return evolve(page, items=fresh, number=number)

    def _step_over(self, number: int, error: UnexpectedContent) -> Page[T]:
        self._unreadable += 1
        self._items = None
        self._furthest = max(self._furthest, number)
        self._next = number + 1 if self._pages is None or number < self._pages else None
        self._reader.prepare(self._next, self._pages)
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
        """Return the pages by which items may have moved towards the front since the last page."""
        if self._total is None or page.total is None or not page.size or page.total >= self._total:
            return 0
        return math.ceil((self._total - page.total) / page.size)


def _holds_more_than_announced(page: Page[Any]) -> bool:
    """Return True if the total cannot be right, because this page alone passes it."""
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
