"""Send loop of all calls: deadline, gate, credentials, connection, rate limiter, request, response, retry."""

from __future__ import annotations

import asyncio
import copy
import functools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from attrs import evolve

from publitrac_async.config import CONCURRENCY_CEILING, RetryPolicy, Timeout
from publitrac_async.errors import (
    ApiError,
    ClientStateError,
    DeadlineExceeded,
    PublitracError,
    QueueTimeout,
    RateLimited,
    UnexpectedContent,
)
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.concurrency import ConcurrencyGate
from publitrac_async.transport.deadline import Deadline
from publitrac_async.transport.events import Hook
from publitrac_async.transport.lanes import Lane, Lanes
from publitrac_async.transport.lifetime import Lifetime
from publitrac_async.transport.limits import RateLimiter
from publitrac_async.transport.operation import Call, Departure, OperationClass, ServiceResponse
from publitrac_async.transport.record import Attempt, CallRecord
from publitrac_async.transport.reporter import Reporter
from publitrac_async.transport.retry import RetryBudget, as_throttled, next_wait
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.steps import run_steps_in_turns

if TYPE_CHECKING:
    from publitrac_async.transport.http import Wire
    from publitrac_async.transport.trace import Trace

T = TypeVar("T")

_NO_CREDENTIALS: Final = Authorization()
#: Seconds until a permit expires.
_PERMIT_LIFETIME: Final = 0.01


class Transport:
    """Sends the calls of one client.

    Args:
        wire: builds and sends requests.
        limiter: gives the permit for every request.
        retry: policy for retries.
        timeout: limits on the time of a call.
        concurrency: calls in flight at once; ``None`` for the number the limiter needs.
        max_in_flight: maximum calls in flight in that case.
        hooks: called with every event.
        vendor: name of the vendor in events.
        base_url: address of the service in events.
        log_failures: log each failed call as a warning, after its retries.
        trace: records every exchange; ``None`` for no trace.
        clock: monotonic seconds.
        draw: uniform in [0, 1), for the jitter.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        limiter: RateLimiter,
        retry: RetryPolicy,
        timeout: Timeout,
        concurrency: int | None,
        max_in_flight: int = CONCURRENCY_CEILING,
        hooks: Sequence[Hook] = (),
        vendor: str = "",
        base_url: str = "",
        log_failures: bool = True,
        trace: Trace | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._wire = wire
        self._trace = trace
        self._vendor, self._base_url = vendor, base_url
        self._retry = retry
        self._budget = RetryBudget(retry.budget)
        self._timeout = timeout
        self._clock = clock
        self._reporter = Reporter(
            hooks, vendor=vendor, base_url=base_url, log_failures=log_failures, clock=clock
        )
        self._draw = draw
        self._limiter = limiter
        self._lifetime = Lifetime()
        self._lanes = Lanes(
            limiter,
            concurrency,
            max_in_flight=max_in_flight,
            build=functools.partial(
                Lane,
                sleep=self._lifetime.sleep,
                clock=clock,
                draw=draw,
                on_outage=self._reporter.limiter_unavailable,
            ),
            clock=clock,
        )

    @property
    def gate(self) -> ConcurrencyGate:
        """The limit on calls in flight at once."""
        return self._lanes.lane().gate

    @property
    def timeout(self) -> Timeout:
        """Timeout of calls without their own."""
        return self._timeout

    def view(self, *, retry: RetryPolicy | None = None, timeout: Timeout | None = None) -> Transport:
        """Return a transport with other settings that shares the rest: pool, limiter, budget, lifetime.

        Args:
            retry: instead of this one's.
            timeout: instead of this one's.
        """
        view = copy.copy(self)
        view._retry = retry or self._retry  # noqa: SLF001  (a copy of this object)
        if timeout is not None:
            view._timeout = timeout  # noqa: SLF001  (likewise)
            view._wire = self._wire.with_timeout(timeout)  # noqa: SLF001  (likewise)
        return view

    @property
    def reporter(self) -> Reporter:
        """Reporter of the calls: events, log and gauges."""
        return self._reporter

    async def send(self, call: Call[T], *, limiter: RateLimiter | None = None) -> T:
        """Run `call` and return the result of its ``parse``.

        Args:
            call: the call.
            limiter: instead of the client's.

        Raises:
            PublitracError: see the module `publitrac_async.errors`.
        """
        record = self._reporter.begin(call.operation, max_attempts=self._retry.attempts)
        return await self._run(call, limiter, record)

    async def request_token(
        self,
        call: Call[tuple[Secret, float]],
        *,
        limiter: RateLimiter | None = None,
        confirm: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[Secret, float]:
        """Run a token request, bypassing the queue: calls that hold slots wait for it.

        Args:
            call: the token request; its result is a token and the seconds it lives.
            limiter: instead of the client's.
            confirm: called after the permit, right before each attempt is sent; an error of it ends the call.

        Raises:
            PublitracError: as `send`.
        """
        record = self._reporter.begin(call.operation, token_request=True, max_attempts=self._retry.attempts)
        record.confirm = confirm
        value, ttl = await self._run(call, limiter, record)
        self._reporter.token_renewed(record, ttl)
        return value, ttl

    async def _run(self, call: Call[T], limiter: RateLimiter | None, record: CallRecord) -> T:
        timeout = call.timeout or self._timeout
        failure: PublitracError
        scope: Deadline | None = None
        try:
            scope = self._lifetime.deadline(timeout)
            self._lanes.waiting += 1
            lane = self._lanes.lane(limiter)
            gate = self._lanes.open_gate if record.token_request else lane.gate
            if record.observation is not None:
                record.observation.limited = lane.gate.follows_limit
            with scope:
                await gate.enter()
                try:
                    scope.leave_queue()
                    self._reporter.queue_left(record)
                    result = await self._attempts(call, record, scope, lane)
                finally:
                    gate.leave()
        except PublitracError as error:
            failure = error.with_traceback(None)
        except BaseException as error:
            if scope is None or not (isinstance(error, TimeoutError) and scope.expired):
                self._reporter.end(record, error)
                raise
            failure = self._interrupted(call, record, scope)
        else:
            self._reporter.end(record, None)
            return result
        finally:
            if scope is not None:
                self._lifetime.calls.discard(scope)
                if not record.permitted:
                    self._lanes.waiting -= 1
        # The error of a token request, or of closing, does not know of earlier attempts.
        failure.maybe_applied |= record.maybe_applied
        if failure.operation is None:  # An error of a token request names that operation.
            failure.operation = call.operation.name
            failure.attempts = record.attempts
        failure.elapsed = self._clock() - record.started
        failure.call_id = self._reporter.call_id(record)
        self._reporter.end(record, failure)
        # Raised here, without context: the frames below may hold personal data.
        failure.__cause__ = failure.__context__ = None
        raise failure

    async def aclose(self) -> None:
        """Refuse new calls, wait briefly for those in flight, close the connections.

        Calls that still wait end with `ClientStateError`.
        """
        await self._lifetime.end_calls()
        await self._wire.aclose()

    async def _attempts(self, call: Call[T], record: CallRecord, scope: Deadline, lane: Lane) -> T:
        authenticator = call.authenticator
        renewed = False
        while True:
            self._lifetime.check_open()
            record.attempts += 1
            if record.observation is not None:
                record.observation.asked_at = self._clock()
            authorization = (
                _NO_CREDENTIALS
                if authenticator is None
                else await self._lanes.authorize(authenticator, record, scope)
            )
            attempt = record.attempt = Attempt(record.attempts, self._clock())
            if record.observation is not None:
                authorization = self._reporter.attempt_started(record.observation, attempt, authorization)
            failure: PublitracError | None = None
            result: T | None = None
            response: ServiceResponse | None = None
            try:
                departure = Departure(
                    permit=functools.partial(self._await_permit, record, scope, attempt, lane),
                    sent=functools.partial(self._note_sent, call, record, attempt, lane),
                )
                response = await self._wire.exchange(call, authorization, attempt, departure)
                parsed = call.parse(response)
                # A check against `collections.abc.Generator` takes ten times as long.
                result = cast(
                    "T", await run_steps_in_turns(parsed) if isinstance(parsed, GeneratorType) else parsed
                )
            except PublitracError as error:
                failure = as_throttled(error.with_traceback(None), self._retry)
                _mask_credentials(failure, authorization)
            finally:
                lane.gate.receive(id(attempt))
                lane.release_slot(attempt)
                if self._trace is not None:
                    self._trace.add(
                        call,
                        authorization,
                        attempt,
                        call_id=self._reporter.call_id(record),
                        vendor=self._vendor,
                        base_url=self._base_url,
                        ended=self._clock(),
                        response=response,
                        failure=failure,
                    )
            self._reporter.attempt_ended(record, attempt, failure)
            if failure is None:
                if authenticator is not None and attempt.sent_at is not None:
                    await authenticator.accepted(authorization, attempt.sent_at)
                self._budget.give_back(record.cost or 1)
                return cast("T", result)
            if failure.status is None:
                failure.status = attempt.status
            if (
                authenticator is not None
                and isinstance(failure, authenticator.reauthenticate_on)
                and not renewed
            ):
                await authenticator.rejected(authorization)
                renewed = True
                continue
            await self._wait_or_give_up(failure, record, scope, lane)

    async def _wait_or_give_up(
        self, failure: PublitracError, record: CallRecord, scope: Deadline, lane: Lane
    ) -> None:
        """Wait until the call may be retried, or raise `failure`."""
        operation = record.operation
        if operation.operation_class is OperationClass.READ:
            failure.maybe_applied = False
        elif isinstance(failure, UnexpectedContent):
            failure.maybe_applied = True  # A response arrived.
        record.maybe_applied |= failure.maybe_applied
        if isinstance(failure, RateLimited) and failure.retry_after:
            lane.limiter.pause(min(failure.retry_after, self._retry.max_retry_after))
        level = self._budget.level
        wait = next_wait(
            self._retry,
            failure,
            operation.operation_class,
            attempt=record.attempts,
            remaining=scope.remaining,
            budget=self._budget,
            random=self._draw,
        )
        if wait is None:
            failure.maybe_applied = record.maybe_applied
            raise failure
        record.cost += level - self._budget.level
        self._reporter.retry_scheduled(record, failure, wait)
        paused = self._clock()
        try:
            # A call in a pause is not in flight and needs no slot.
            pause = self._lifetime.sleep(wait)
            await (pause if record.token_request else lane.gate.lend(pause))
        finally:
            self._reporter.retry_begins(record, paused)

    async def _await_permit(self, record: CallRecord, scope: Deadline, attempt: Attempt, lane: Lane) -> None:
        attempt.connected_at = self._clock()
        if len(self._lifetime.calls) > 1:
            # Other tasks reach this line in the same turn of the event loop. Batching their writes wakes the
            # receiver once; otherwise a call takes 5 to 18 % more CPU.
            await asyncio.sleep(0)
        await self._lanes.permit(lane, record, scope)
        if record.confirm is not None:
            permitted = self._clock()
            await record.confirm()
            if self._clock() - permitted > _PERMIT_LIFETIME:
                await self._lanes.permit(lane, record, scope)

    def _note_sent(self, call: Call[Any], record: CallRecord, attempt: Attempt, lane: Lane) -> None:
        attempt.sent_at = self._clock()
        if not record.token_request:
            lane.gate.send(id(attempt))
        if call.on_sent is not None:
            call.on_sent()
        if record.observation is not None:
            self._reporter.request_sent(record.observation, attempt)

    def _interrupted(self, call: Call[Any], record: CallRecord, scope: Deadline) -> PublitracError:
        """Return the error of a call that timed out, or that had not ended when the client closed."""
        attempt = record.attempt
        in_flight = attempt is not None and attempt.sent_at is not None
        reads = call.operation.operation_class is OperationClass.READ
        where = "while waiting for a response" if in_flight else "before anything was sent"
        if not in_flight and record.attempts > 1:
            where = f"before attempt {record.attempts} was sent"
        maybe_applied = in_flight and not reads
        if self._lifetime.grace_ended:
            return ClientStateError(f"the client was closed {where}", maybe_applied=maybe_applied)
        if not in_flight and (outage := self._lanes.outage) is not None:
            return copy.copy(outage)
        timeout = call.timeout or self._timeout
        if scope.queued:
            waiting = self._lanes.waiting
            return QueueTimeout(
                f"the queue timeout of {timeout.queue} s expired: {waiting} calls of this client wait for a "
                "slot or for the rate limit; nothing was sent",
                queued=waiting,
            )
        return DeadlineExceeded(
            f"the total timeout of {timeout.total} s expired {where}", maybe_applied=maybe_applied
        )


def _mask_credentials(failure: PublitracError, authorization: Authorization) -> None:
    """Mask credentials that the messages of a service quote."""
    if failure.vendor_message is not None:
        failure.vendor_message = authorization.masked_in(failure.vendor_message)
    if isinstance(failure, ApiError):
        failure.problems = tuple(
            evolve(
                problem,
                text=_masked(problem.text, authorization),
                value=_masked(problem.value, authorization),
            )
            for problem in failure.problems
        )


def _masked(text: T, authorization: Authorization) -> T:
    return cast("T", authorization.masked_in(text)) if isinstance(text, str) else text
