"""Send thousands of leads, and yield each outcome as soon as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import field, frozen

from publitrac_async.checks import check_is_lead
from publitrac_async.errors import ClientStateError, ConfigurationError, PublitracError
from publitrac_async.models import Lead

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Limit on leads taken from the source whose outcome the caller has not taken yet.
_MAX_PENDING: Final = 256
#: Errors that every further lead would raise.
_FATAL: Final = (ClientStateError, ConfigurationError)


@frozen(kw_only=True)
class LeadOutcome(Generic[T]):
    """Outcome of one lead of many.

    Attributes:
        position: index of the lead in the input, from 0.
        lead: the lead.
        result: result of the method for a single lead, ``None`` after an error.
        error: error of that method, ``None`` after success.
    """

    position: int
    lead: Lead = field(repr=False)
    result: T | None = None
    error: PublitracError | None = None

    @property
    def ok(self) -> bool:
        """True if the service accepted the lead: there is no error."""
        return self.error is None


class Send(Protocol[T_co]):
    """Function that sends one lead."""

    def __call__(self, lead: Lead, on_sent: Callable[[], None], /) -> Awaitable[T_co]:
        """Send `lead`. Call `on_sent` when its request is sent."""
        ...


async def send_many(
    leads: Iterable[Lead] | AsyncIterable[Lead], send: Send[T]
) -> AsyncGenerator[LeadOutcome[T], None]:
    """Send leads as fast as rate limit and latency allow, and yield each outcome as soon as it is known.

    A lead is taken from the source once the previous request is sent, so other calls of the client get their
    turn between two leads. Leads with the same address are sent one after the other.

    Args:
        leads: taken one by one; 256 at most are in memory.
        send: sends one lead.

    Raises:
        ClientStateError: the client was closed meanwhile.
        ConfigurationError: the client cannot send such leads.
    """
    run = _Run(send)
    feeder = asyncio.create_task(run.feed(leads), name="publitrac_async leads")
    try:
        while (outcome := await run.ended.get()) is not None:
            if isinstance(outcome.error, _FATAL):
                raise outcome.error
            run.room.release()
            yield outcome
        await feeder  # An error of the source is raised after the outcomes of the leads before it.
    finally:
        feeder.cancel()
        await asyncio.wait([feeder])


class _Run(Generic[T]):
    """State of one `send_many`: leads in flight, and outcomes not yet yielded."""

    def __init__(self, send: Send[T]) -> None:
        self._send = send
        self.room = asyncio.Semaphore(_MAX_PENDING)
        #: Outcomes not taken yet; ``None`` after the last.
        self.ended: asyncio.Queue[LeadOutcome[T] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        #: The last lead in flight of each address.
        self._last: dict[str, asyncio.Task[None]] = {}

    async def feed(self, leads: Iterable[Lead] | AsyncIterable[Lead]) -> None:
        """Send the leads, each as soon as the previous request is sent, and wait for all outcomes."""
        try:
            try:
                position = 0
                async for lead in _iterate(leads):
                    check_is_lead(lead)
                    await self.room.acquire()
                    await self._start(position, lead)
                    position += 1
            except Exception:
                await self._wait()  # The outcomes of the leads before the error are known first.
                raise
            await self._wait()
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await self._wait()
            raise
        finally:
            self.ended.put_nowait(None)

    async def _wait(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _start(self, position: int, lead: Lead) -> None:
        """Start sending a lead; return once its request is sent, or if it follows a lead of its address."""
        address = lead.email.strip().lower() if isinstance(lead.email, str) else ""
        previous = self._last.get(address) if address else None
        sent = asyncio.Event()
        task = asyncio.create_task(self._send_after(previous, position, lead, sent.set))
        self._tasks.add(task)
        self._last[address] = task
        task.add_done_callback(lambda task: self._forget(address, task))
        if previous is None:
            await sent.wait()

    async def _send_after(
        self, previous: asyncio.Task[Any] | None, position: int, lead: Lead, on_sent: Callable[[], None]
    ) -> None:
        result, failure = None, None
        try:
            if previous is not None:
                await asyncio.wait([previous])
            result = await self._send(lead, on_sent)
        except PublitracError as error:
            failure = error
        finally:
            on_sent()
        self.ended.put_nowait(LeadOutcome(position=position, lead=lead, result=result, error=failure))

    def _forget(self, address: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last.get(address) is task:
            del self._last[address]


async def _iterate(leads: Iterable[Lead] | AsyncIterable[Lead]) -> AsyncGenerator[Lead, None]:
    if isinstance(leads, AsyncIterable):
        async for lead in leads:
            yield lead
    else:
        for lead in leads:
            yield lead
