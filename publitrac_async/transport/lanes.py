"""Queue of a client: calls wait here for slots, tokens and permits."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from publitrac_async.config import CONCURRENCY, LIMITER_TIMEOUT, Rate
from publitrac_async.errors import LimiterUnavailable
from publitrac_async.transport.auth import Authenticator, Authorization
from publitrac_async.transport.concurrency import AdaptiveGate, ConcurrencyGate
from publitrac_async.transport.deadline import Deadline
from publitrac_async.transport.limits import RateLimiter, Slots, Unlimited
from publitrac_async.transport.record import Attempt, CallRecord


class Lane:
    """Rate limiter, with the gate that adapts the number of calls in flight to it.

    Args:
        limiter: gives the permits.
        gate: gives slots to the calls of this lane.
        sleep: waits a number of seconds; raises if the client closes.
        clock: monotonic seconds.
        draw: uniform in [0, 1), for the jitter.
        on_outage: called when the limiter becomes unavailable.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        gate: ConcurrencyGate,
        *,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        draw: Callable[[], float],
        on_outage: Callable[[LimiterUnavailable], None],
    ) -> None:
        self.limiter = limiter
        self.gate = gate
        #: Error of the limiter while it is unavailable.
        self.outage: LimiterUnavailable | None = None
        self._sleep = sleep
        self._clock = clock
        self._draw = draw
        self._on_outage = on_outage
        self._slots: Slots | None = getattr(limiter, "slots", None)
        self._unlimited = limiter if isinstance(limiter, Unlimited) else None

    def permit_now(self) -> bool:
        """Return True if a request needs no permit now: there is no limit, and no pause."""
        return self._unlimited is not None and not self._unlimited.paused

    async def permit(self, attempt: Attempt | None = None) -> None:
        """Wait for a permit, and for a shared limiter that is unavailable.

        Args:
            attempt: also gets a slot, which the caller releases by `release_slot`.

        Raises:
            LimiterUnavailable: the limiter was unavailable for longer than `LIMITER_TIMEOUT`.
        """
        self.gate.ask_limiter()
        try:
            asked = self._clock()
            while True:
                try:
                    if self._slots is not None and attempt is not None and attempt.slot is None:
                        attempt.slot = await self._slots.take()
                    await self.limiter.acquire()
                except LimiterUnavailable as error:
                    failure = error.with_traceback(None)
                else:
                    self.outage = None
                    return
                # This is not a retry of the call: nothing was sent.
                if self.outage is None:
                    self._on_outage(failure)
                self.outage = failure
                wait = failure.retry_after or 1.0
                if self._clock() + wait - asked > LIMITER_TIMEOUT:
                    raise failure
                await self._sleep(wait * (0.5 + self._draw()))
        finally:
            self.gate.leave_limiter()

    def release_slot(self, attempt: Attempt) -> None:
        """Release the slot of an attempt that has ended."""
        if self._slots is not None and attempt.slot is not None:
            slot, attempt.slot = attempt.slot, None
            self._slots.give(slot)


class Lanes:
    """Queue of a client, shared by all its views: a lane for each limiter.

    Args:
        limiter: limiter of the client.
        concurrency: calls in flight at once, over all limiters; ``None`` for the number each limiter needs.
        max_in_flight: maximum calls in flight in that case.
        build: makes the lane of a limiter and its gate.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        concurrency: int | None,
        *,
        max_in_flight: int,
        build: Callable[[RateLimiter, ConcurrencyGate], Lane],
        clock: Callable[[], float],
    ) -> None:
        self._concurrency = concurrency
        self._max_in_flight = max_in_flight
        self._build = build
        self._clock = clock
        self._own = self._build(limiter, self._gate(limiter))
        self._lanes = {id(limiter): self._own}
        #: Gate without limit, for token requests: calls that hold slots wait for them.
        self.open_gate: ConcurrencyGate = ConcurrencyGate(sys.maxsize)
        #: Calls that wait for a slot or for their first permit.
        self.waiting: int = 0
        #: Calls that wait for a token, and token requests that wait for their permit.
        self._authorizing: set[Deadline] = set()
        self._token_requests = 0

    @property
    def outage(self) -> LimiterUnavailable | None:
        """Error of a limiter while it is unavailable."""
        return next((lane.outage for lane in self._lanes.values() if lane.outage is not None), None)

    def lane(self, limiter: RateLimiter | None = None) -> Lane:
        """Return the lane of a limiter, by default the client's."""
        if limiter is None:
            return self._own
        lane = self._lanes.get(id(limiter))
        if lane is None:
            # A fixed gate is shared by all limiters; an adaptive one follows its limiter.
            gate = self._own.gate
            if self._concurrency is None:
                gate = self._gate(limiter)
            lane = self._lanes[id(limiter)] = self._build(limiter, gate)
        return lane

    async def authorize(
        self, authenticator: Authenticator, record: CallRecord, deadline: Deadline
    ) -> Authorization:
        """Get credentials. While a token request is in the queue, so is the call that needs the token."""
        if record.permitted:
            return await authenticator.authorize()
        if self._token_requests:
            deadline.enter_queue()
        self._authorizing.add(deadline)
        try:
            return await authenticator.authorize()
        finally:
            self._authorizing.discard(deadline)
            deadline.leave_queue()

    async def permit(self, lane: Lane, record: CallRecord, deadline: Deadline) -> None:
        """Wait for a permit. The wait for the first permit of a call is part of the queue."""
        if record.permitted:
            await lane.permit(record.attempt)
            return
        if not lane.permit_now():
            deadline.enter_queue()
            await (self._permit_token_request(lane) if record.token_request else lane.permit(record.attempt))
            deadline.leave_queue()
        record.permitted = True
        self.waiting -= 1

    async def _permit_token_request(self, lane: Lane) -> None:
        self._token_requests += 1
        for deadline in self._authorizing:
            deadline.enter_queue()
        try:
            await lane.permit()
        finally:
            self._token_requests -= 1
            if not self._token_requests:
                for deadline in self._authorizing:
                    deadline.leave_queue()

    def _gate(self, limiter: RateLimiter) -> ConcurrencyGate:
        concurrency = self._concurrency
        # A limiter that reserves permits remotely needs several callers that wait.
        if concurrency is None and (isinstance(limiter, Unlimited) or getattr(limiter, "reserves", False)):
            concurrency = min(CONCURRENCY, self._max_in_flight)
        if concurrency is not None:
            return ConcurrencyGate(concurrency)
        rate = getattr(limiter, "rate", None)
        return AdaptiveGate(
            rate if isinstance(rate, Rate) else None, max_in_flight=self._max_in_flight, clock=self._clock
        )
