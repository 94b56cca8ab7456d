"""Fetch pages before the caller needs them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

#: Fetched pages at which no more are requested until the caller takes one.
_READY: Final = 8


class Fetch(Protocol[P_co]):
    """Function that fetches a page."""

    def __call__(self, number: int, on_sent: Callable[[], None] | None = None, /) -> Awaitable[P_co]:
        """Return page `number`. Call `on_sent` when the request is sent."""
        ...


class ReadAhead(Generic[P]):
    """Fetches the next pages while the caller works on one.

    A request starts once the previous one is sent. So this reader has only one call at a time in the client's
    queue, like a sequential reader, but as many in flight as rate limit and latency allow. Dropping the
    reader cancels the requests in flight, and so does cancelling the caller that waits for a page.

    Args:
        fetch: fetches a page.
        max_pages: limit on the pages held or in flight, besides the one in use.
    """

    def __init__(self, fetch: Fetch[P], max_pages: int) -> None:
        self._fetch = fetch
        self._max_pages = max_pages
        #: Pages held or in flight, by number.
        self._tasks: dict[int, asyncio.Task[P]] = {}
        #: Number of the next page to fetch, and of the last one.
        self._upcoming = 0
        self._last = 0
        #: Task whose request is not sent yet.
        self._unsent: object = None
        self._awaited = False
        weakref.finalize(self, cancel_tasks, self._tasks).atexit = False

    async def page(self, number: int) -> P:
        """Return a page, and fetch it first if necessary."""
        task = self._tasks.get(number)
        if task is None:
            self.stop()
            return await self._fetch(number)
        self._awaited = True
        try:
            if not task.done():
                self._request_more()
                await asyncio.wait([task])
        except asyncio.CancelledError:
            self.stop()
            raise
        finally:
            self._awaited = False
        del self._tasks[number]
        if task.cancelled():  # Cancelled by others: a cancelled caller would not get here.
            return await self._fetch(number)
        return task.result()

    def prepare(self, number: int | None, last: int | None) -> None:
        """Begin to fetch the next pages.

        Args:
            number: number of the next page, ``None`` after the end.
            last: number of the last page, ``None`` if unknown. Then nothing is fetched ahead.
        """
        if number is None or last is None or not self._max_pages:
            self.stop()
            return
        if number not in self._tasks:
            self.stop()
            self._upcoming = number
        self._last = last
        self._request_more()

    def stop(self) -> None:
        """Cancel the requests in flight, and drop the held pages."""
        self._last = 0
        self._unsent = None
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _request_more(self) -> None:
        """Fetch the next page if there is one and the limits allow it."""
        if self._unsent is not None or self._upcoming > self._last or len(self._tasks) >= self._max_pages:
            return
        if not self._awaited and sum(task.done() for task in self._tasks.values()) >= _READY:
            return
        number = self._upcoming
        self._upcoming += 1
        self._unsent = token = object()
        # The task must not keep a reference to the reader.
        reader: weakref.ref[ReadAhead[Any]] = weakref.ref(self)
        fetch = partial(self._fetch, number, partial(_on_sent, reader, token))
        task = fetch_in_task(fetch, f"publitrac_async page {number}")
        task.add_done_callback(partial(_on_done, reader, token))
        self._tasks[number] = task

    def note_sent(self, token: object) -> None:
        """Note that a request was sent, or ended."""
        if self._unsent is token:
            self._unsent = None
            self._request_more()

    def note_failed(self, task: asyncio.Task[P]) -> None:
        """Fetch no more pages until the caller reaches the failed one."""
        if task in self._tasks.values():
            self._last = 0


def fetch_in_task(fetch: Callable[[], Awaitable[P]], name: str) -> asyncio.Task[P]:
    """Start a task of this name that fetches a page."""

    async def fetched() -> P:
        return await fetch()

    return asyncio.create_task(fetched(), name=name)


def _on_sent(reference: weakref.ref[ReadAhead[Any]], token: object) -> None:
    reader = reference()
    if reader is not None:
        reader.note_sent(token)


def _on_done(reference: weakref.ref[ReadAhead[Any]], token: object, task: asyncio.Task[Any]) -> None:
    # The error is raised when the caller reaches the page; until then asyncio must not log it.
    failed = task.cancelled() or task.exception() is not None
    reader = reference()
    if reader is not None:
        if failed:
            reader.note_failed(task)
        reader.note_sent(token)


def cancel_tasks(tasks: dict[Any, asyncio.Task[Any]]) -> None:
    """Cancel tasks, from any thread: the garbage collector may call this function in another one."""
    for task in tasks.values():
        loop = task.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
    tasks.clear()
