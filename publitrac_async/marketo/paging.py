"""Reading what comes in pages, each of which holds a token for the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from attrs import frozen

from publitrac_async.errors import UnexpectedContent
from publitrac_async.pagination import Items

T = TypeVar("T")


@frozen
class MarketoPage(Generic[T]):
    """One page.

    Attributes:
        items: what is on it. It can be empty although more pages follow.
        next_page_token: asks for the next page, ``None`` on the last one. Keep it to go on later.
    """

    items: tuple[T, ...]
    next_page_token: str | None = None


class MarketoPager(Generic[T]):
    """All items of a list that Marketo hands out in pages.

    Nothing is sent until it is used: ``await pager`` gives the first `MarketoPage`, ``async for item in
    pager`` every item, ``async for page in pager.pages()`` the pages. To go on after an interruption, note
    ``page.next_page_token`` and hand it in: ``get_leads_by_list_id(1001, next_page_token=token)``.

    Raises:
        UnexpectedContent: the pages go in circles.
    """

    def __init__(
        self, fetch: Callable[[str | None], Awaitable[MarketoPage[T]]], *, start: str | None = None
    ) -> None:
        self._fetch = fetch
        self._start = start

    def __await__(self) -> Generator[Any, None, MarketoPage[T]]:
        return self._fetch(self._start).__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return Items(self.pages())

    def pages(self) -> AsyncIterator[MarketoPage[T]]:
        """The pages."""
        return _Pages(self._fetch, self._start)


class _Pages(Generic[T]):
    """The walk over the pages. It holds no open answer between them, so it can be dropped anywhere."""

    def __init__(self, fetch: Callable[[str | None], Awaitable[MarketoPage[T]]], start: str | None) -> None:
        self._fetch = fetch
        self._next = start
        self._ended = False
        #: Hashes of the tokens asked with: a token says a position, so none may come again.
        self._asked: set[int] = set()

    def __aiter__(self) -> _Pages[T]:
        return self

    async def __anext__(self) -> MarketoPage[T]:
        if self._ended:
            raise StopAsyncIteration
        if hash(self._next) in self._asked:
            raise UnexpectedContent("the token for the next page came before: the pages go in circles")
        self._asked.add(hash(self._next))
        page = await self._fetch(self._next)
        self._next = page.next_page_token
        self._ended = self._next is None
        return page
