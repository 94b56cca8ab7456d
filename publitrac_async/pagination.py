"""Read lists that the service returns in pages."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import evolve, field, frozen

from publitrac_async.errors import PublitracError, UnexpectedContent
from publitrac_async.frames import clears_frames, clears_frames_of
from publitrac_async.read_ahead import Fetch, ReadAhead

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Number of recent keys kept to recognize repeated items. Items that are added or removed meanwhile move
#: others between neighbouring pages only, so recent keys are enough and memory stays bounded.
_REMEMBERED: Final = 20_000
#: Consecutive pages without a new item after which the pager raises an error.
_MAX_IDLE_PAGES: Final = 50
#: Consecutive unreadable pages after which even a pager that skips them raises an error.
_MAX_UNREADABLE: Final = 5


@frozen
class Page(Generic[T]):
    """Page of a list.

    Attributes:
        items: its items.
        number: from 1.
        size: items on a full page, as reported by the service (100, and 200 for opportunities); ``None``
            where the response has no paging.
        total: items on all pages, as reported by the service; ``None`` where the response has no paging.
        repaired: number of repairs before the page could be read, by kind; empty for a valid page. A repair
            changes characters, never the set of items and fields.
        unreadable: reason why the page could not be read, if the pager skips such pages; it has no items
            then.
    """

    items: tuple[T, ...]
    number: int
    size: int | None = None
    total: int | None = None
    repaired: Mapping[str, int] = field(factory=dict, kw_only=True)
    unreadable: UnexpectedContent | None = field(default=None, kw_only=True, eq=False)

    @property
    def pages(self) -> int | None:
        """Number of pages, ``None`` if the response does not report it."""
        if self.total is None or not self.size:
            return None
        return math.ceil(self.total / self.size)


class Pager(Generic[T]):
    """Iterator over a list that the service returns in pages.

    Nothing is sent until it is used: ``await pager`` gives the first `Page`, ``async for item in pager``
    every item once, ``async for page in pager.pages()`` the pages. To continue after an interruption, store
    ``page.number`` and start there: ``get_leads(page=number)``.

    If the first page reports the number of pages, the next ones are fetched while you work on it, as fast as
    rate limit and latency allow; at most `read_ahead` pages are held or in flight. Leaving the loop cancels
    requests in flight. ``read_ahead=0`` fetches each page on demand.

    The service does not promise stable pages. Repeated items are skipped. If the total shrinks meanwhile,
    items may have moved to pages already read, so those are read again. If the response has no paging, or a
    total that its page contradicts, the list ends with the first page without a new item.

    Methods of a client return it; a fake of a client may build one.

    Args:
        fetch: returns a page by its number. It may ignore its second argument, which is called when a request
            is sent.
        start: number of the first page.
        key: returns the key that identifies an item, ``None`` for one that never counts as repeated.
        read_ahead: limit on the pages held or in flight, besides the one in use.

    Raises:
        UnexpectedContent: the pages repeat, or end before the announced total.
    """

    def __init__(
        self,
        fetch: Fetch[Page[T]],
        *,
        start: int = 1,
        key: Callable[[T], Hashable | None],
        read_ahead: int = 0,
    ) -> None:
        self._fetch: Fetch[Page[T]] = clears_frames_of(fetch)
        self._start = start
        self._key = key
        self._read_ahead = read_ahead

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._start).__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return Items(self.pages())

    def pages(self, *, skip_unreadable: bool = False) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, each with only the items that no earlier page had.

        Args:
            skip_unreadable: continue after a page that cannot be read. It is yielded without items, with the
                reason in ``Page.unreadable``. Five consecutive ones still raise the error.

        Raises:
            UnexpectedContent: see `Pager`, or a page cannot be read.
        """
        reader = ReadAhead(self._fetch, self._read_ahead)
        return _Pages(reader, self._start, self._key, skip_unreadable=skip_unreadable)


@clears_frames
class _Pages(Generic[T]):
    """Iterator over the pages. Callers may stop at any page."""

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
        #: Number of pages in the last response that reports it.
        self._pages: int | None = None
        self._reader = reader
        self._first = start
        self._next: int | None = start
        self._key = key
        self._seen: dict[Hashable, None] = {}
        #: Items and total of the previous page.
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
            if not self._skip_unreadable or self._unreadable == _MAX_UNREADABLE:
                self._reader.stop()
                raise
            return self._skip_page(number, error)
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
        """Process a page, choose the next one, and return the page with its new items.

        Returns:
            The page; ``None`` if it is empty and the last one.
        """
        self._unreadable = 0
        self._pages = page.pages
        # After the end, some services respond with the last page.
        if page.number != number and (page.pages is None or number <= page.pages):
            raise UnexpectedContent(
                f"the service sent page {page.number} in response to a request for page {number}"
            )
        fresh = tuple(item for item in page.items if self._is_new(item))
        lists_all = page.pages is not None and not _exceeds_total(page)
        if page.pages is None or not lists_all:
            # Such a list ends with the first page without a new item.
            fresh = fresh if page.items != self._items else ()
            continues = bool(fresh)
        else:
            continues = number < page.pages
            repeats = continues and not fresh and number > self._furthest
            if repeats or (not page.items and number <= page.pages):
                raise UnexpectedContent(
                    f"page {number} of {page.pages} has no new item: pages repeat, or the total is wrong"
                )
        moved = self._moved_back(page)
        self._items, self._total = page.items, page.total
        self._furthest = max(self._furthest, number)
        self._idle = 0 if fresh else self._idle + 1
        if self._idle > _MAX_IDLE_PAGES:
            raise UnexpectedContent(
                f"{self._idle} consecutive pages had no new item: pages repeat, or the list changes too fast"
            )
        if moved:
            self._next = max(self._first, number - moved)
        else:
            self._next = number + 1 if continues else None
        self._reader.prepare(self._next, page.pages if lists_all else None)
        if self._next is None and not fresh and number > self._first:
            return None
        return evolve(page, items=fresh, number=number)

    def _skip_page(self, number: int, error: UnexpectedContent) -> Page[T]:
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
        """Return how many pages items may have moved towards the front since the last page."""
        if self._total is None or page.total is None or not page.size or page.total >= self._total:
            return 0
        return math.ceil((self._total - page.total) / page.size)


def _exceeds_total(page: Page[Any]) -> bool:
    """Return True if the items up to this page exceed the announced total, which must be wrong."""
    return page.total is not None and (page.number - 1) * (page.size or 0) + len(page.items) > page.total


class HasItems(Protocol[T_co]):
    """Page of any vendor."""

    @property
    def items(self) -> tuple[T_co, ...]:
        """Items of the page."""
        ...


@clears_frames
class Items(Generic[T]):
    """Iterator over the items of pages."""

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
