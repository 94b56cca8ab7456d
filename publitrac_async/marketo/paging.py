"""Read lists in pages, each with a token for the next."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final, Generic, TypeVar

from attrs import Factory, evolve, field, frozen

from publitrac_async.config import MARKETO_RECORDS
from publitrac_async.errors import PublitracError, UnexpectedContent
from publitrac_async.frames import clears_frames, clears_frames_of
from publitrac_async.marketo.results import Reason
from publitrac_async.pagination import Items
from publitrac_async.read_ahead import cancel_tasks, fetch_in_task

T = TypeVar("T")

#: Token of this package for several calls. Marketo's tokens have only capital letters, digits and padding.
_PART: Final = re.compile(r"(\d+)\+(\d+):(.*)")


def _has_no_token(page: MarketoPage[Any]) -> bool:
    return page.next_page_token is None


@frozen
class MarketoPage(Generic[T]):
    """Page of a list.

    Attributes:
        items: its items. A page may be empty although more pages follow.
        next_page_token: token of the next page, ``None`` on the last one. Store it to continue later. The
            last page of `MarketoClient.call` may have a token, for items added later.
        warnings: Marketo's warnings.
        unread: items that are not in the documented form, as JSON. No ``repr`` shows them.
        last: True if no further page follows.
    """

    items: tuple[T, ...]
    next_page_token: str | None = None
    warnings: tuple[Reason, ...] = field(default=(), kw_only=True, repr=False)
    unread: tuple[Any, ...] = field(default=(), kw_only=True, repr=False)
    last: bool = field(default=Factory(_has_no_token, takes_self=True), kw_only=True, repr=False)


class MarketoPager(Generic[T]):
    """Iterator over a list that Marketo returns in pages.

    Nothing is sent until it is used: ``await pager`` gives the first `MarketoPage`, ``async for item in
    pager`` every item, ``async for page in pager.pages()`` the pages. To continue after an interruption,
    store ``page.next_page_token`` and pass it again: ``get_leads_by_list_id(1001, next_page_token=token)``.
    The next page is requested while you work on one; leaving the loop cancels that request. An error that
    ends an iteration has the token of its page in ``error.next_page_token``; all pages before it were
    delivered.

    Methods of a client return it; a fake of a client may build one.

    Args:
        fetch: returns the page of a token, the first page for ``None``.
        start: token of the first page.

    Raises:
        UnexpectedContent: the pages repeat.
    """

    def __init__(
        self, fetch: Callable[[str | None], Awaitable[MarketoPage[T]]], *, start: str | None = None
    ) -> None:
        self._fetch = clears_frames_of(fetch)
        self._start = start

    def __await__(self) -> Generator[Any, None, MarketoPage[T]]:
        return self._fetch(self._start).__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return Items(self.pages())

    def pages(self) -> AsyncIterator[MarketoPage[T]]:
        """Iterate over the pages."""
        return _Pages(self._fetch, self._start)


@clears_frames
class _Pages(Generic[T]):
    """Iterator over the pages, which requests one page ahead.

    Cancelling the caller that waits for a page, or dropping the iterator, cancels the request in flight.
    """

    def __init__(self, fetch: Callable[[str | None], Awaitable[MarketoPage[T]]], start: str | None) -> None:
        self._fetch = fetch
        self._next = start
        self._ended = False
        #: Hashes of the tokens used: a token is a position, so a repeated one means a cycle.
        self._requested: set[int] = set()
        #: The request of the next page by its token; empty or one task.
        self._ahead: dict[str | None, asyncio.Task[MarketoPage[T]]] = {}
        weakref.finalize(self, cancel_tasks, self._ahead).atexit = False

    def __aiter__(self) -> _Pages[T]:
        return self

    async def __anext__(self) -> MarketoPage[T]:
        if self._ended:
            raise StopAsyncIteration
        if hash(self._next) in self._requested:
            raise UnexpectedContent("a token for the next page is repeated: the pages repeat")
        try:
            page = await self._page()
        except PublitracError as error:
            error.next_page_token = self._next
            raise
        self._requested.add(hash(self._next))
        self._next = page.next_page_token
        self._ended = page.last
        if not self._ended and hash(self._next) not in self._requested:
            task = fetch_in_task(partial(self._fetch, self._next), "publitrac_async next page")
            task.add_done_callback(_retrieve)
            self._ahead[self._next] = task
        return page

    async def _page(self) -> MarketoPage[T]:
        task = self._ahead.get(self._next)
        if task is None:
            return await self._fetch(self._next)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._ahead.clear()
        if task.cancelled():  # Cancelled by others: a cancelled caller would not reach this line.
            return await self._fetch(self._next)
        return task.result()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception, so that asyncio does not log it if the caller never reaches the page."""
    if not task.cancelled():
        task.exception()


@frozen
class ValuePart:
    """Part of a filter's values, for one call.

    Attributes:
        place: index of the first value.
        count: number of values.
        own: Marketo's token of the page, ``None`` for the first page.
    """

    place: int
    count: int
    own: str | None

    @classmethod
    def read(cls, token: str | None, total: int) -> ValuePart:
        """Return the part of a token.

        Args:
            token: token of a page, or ``None`` for the first.
            total: number of all values.
        """
        match = _PART.fullmatch(token or "")
        if match is None:
            return cls(0, min(total, MARKETO_RECORDS), token)
        return cls(int(match[1]), max(1, min(int(match[2]), MARKETO_RECORDS)), match[3] or None)

    def halved(self) -> ValuePart:
        """Return the first half of this part."""
        return evolve(self, count=(self.count + 1) // 2)

    def after(self, own: str | None, total: int) -> str | None:
        """Return the token of the page after one of this part, ``None`` after the last.

        Args:
            own: Marketo's token of that page.
            total: number of all values.
        """
        if own is not None:
            whole = self.place == 0 and self.count >= total
            return own if whole else f"{self.place}+{self.count}:{own}"
        place = self.place + self.count
        if place >= total:
            return None
        # After a halved part the next one is larger again: its values may match fewer leads.
        return f"{place}+{min(2 * self.count, MARKETO_RECORDS)}:"
