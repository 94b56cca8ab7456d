"""The only send loop: deadline, gate, auth, connection, rate limiter, send, classify, retry."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from attrs import define

from publitrac_async.config import CLOSE_PATIENCE, RetryPolicy, Timeout
from publitrac_async.errors import (
    ClientStateError,
    DeadlineExceeded,
    PublitracError,
    RateLimited,
    UnexpectedContent,
)
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.deadline import Deadline
from publitrac_async.transport.events import AttemptEnded, Event, Hook, RequestSent, RetryScheduled
from publitrac_async.transport.limits import ConcurrencyGate, RateLimiter
from publitrac_async.transport.operation import Call, Operation, OperationClass
from publitrac_async.transport.retry import RetryBudget, next_wait
from publitrac_async.transport.steps import in_turns

if TYPE_CHECKING:
    from publitrac_async.transport.http import Wire

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async")

_NO_CREDENTIALS: Final = Authorization()


class _Process:
    """How many forks this process is away from the one that loaded this module; asks no system call."""

    forks = 0

    @classmethod
    def forked(cls) -> None:
        cls.forks += 1


if hasattr(os, "register_at_fork"):  # There is no fork on Windows.
    os.register_at_fork(after_in_child=_Process.forked)


@define
class Attempt:
    """What is known of one request while it is under way: whether bytes may have left, and when."""

    number: int
    started: float
    sent_at: float | None = None
    status: int | None = None


@define
class _Progress:
    """What is known of a call while it is under way."""

    started: float
    attempts: int = 0
    #: An earlier attempt may have taken effect.
    maybe_applied: bool = False
    #: What the retries of this call took from the budget.
    cost: int = 0
    attempt: Attempt | None = None


class Transport:
    """Sends calls, for every façade of one client.

    Args:
        wire: builds requests and carries them.
        limiter: asked before every request.
        retry: when to repeat.
        timeout: how long things may take.
        concurrency: calls in flight at once.
        hooks: told of every event.
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
        concurrency: int,
        hooks: Sequence[Hook] = (),
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._wire = wire
        self._limiter = limiter
        self._retry = retry
        self._budget = RetryBudget(retry)
        self._timeout = timeout
        self._gate = ConcurrencyGate(concurrency)
        self._hooks = tuple(hooks)
        self._clock = clock
        self._draw = draw
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forks = _Process.forks
        self._closing = asyncio.Event()
        self._in_flight: set[Deadline] = set()
        self._out_of_patience = False

    @property
    def gate(self) -> ConcurrencyGate:
        """How many calls may be in flight at once."""
        return self._gate

    async def send(self, call: Call[T], *, gated: bool = True, limiter: RateLimiter | None = None) -> T:
        """Carry out `call` and return what its ``parse`` makes of the answer.

        Args:
            call: what to send.
            gated: wait for a free slot first. A log-in does not: calls that hold slots wait for it.
            limiter: to ask instead of the client's own.

        Raises:
            PublitracError: as the module `publitrac_async.errors` draws them.
        """
        self._check_open()
        self._check_home()
        progress = _Progress(self._clock())
        total = (call.timeout or self._timeout).total
        deadline = math.inf if total is None else progress.started + total
        failure: PublitracError
        scope = Deadline(total)
        self._in_flight.add(scope)
        try:
            with scope:
                async with self._gate if gated else nullcontext():
                    return await self._attempts(call, progress, deadline, limiter or self._limiter)
        except PublitracError as error:
            failure = error.with_traceback(None)
        except BaseException as error:
            if not (isinstance(error, TimeoutError) and scope.expired):
                self._tell_interrupted(call, progress, error)
                raise
            failure = self._cut_short(call, progress)
            self._tell_interrupted(call, progress, failure)
        finally:
            self._in_flight.discard(scope)
        # An error of a log-in, or of closing, knows nothing of the attempts before it.
        failure.maybe_applied |= progress.maybe_applied
        if failure.operation is None:  # An error of the log-in names that operation.
            failure.operation = call.operation.name
            failure.attempts = progress.attempts
        failure.elapsed = self._clock() - progress.started
        # Raised out here and without context: the frames below may hold personal data.
        failure.__cause__ = failure.__context__ = None
        raise failure

    async def aclose(self) -> None:
        """Refuse new calls, give those in flight a moment to end, close the connections.

        Calls that are then still waiting end with `ClientStateError`.
        """
        self._check_home()
        self._closing.set()
        await self._wait_for_calls()
        self._out_of_patience = True
        for scope in self._in_flight:
            scope.expire()
        await self._wait_for_calls()
        await self._wire.aclose()

    async def _wait_for_calls(self) -> None:
        patience = self._clock() + CLOSE_PATIENCE
        while self._in_flight and self._clock() < patience:
            await asyncio.sleep(0.01)

    def emit(self, event: Event) -> None:
        """Tell the hooks."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  (a hook observes; what it raises must not lose a lead)
                logger.warning("a hook raised %s at %s", type(error).__name__, type(event).__name__)

    async def _attempts(self, call: Call[T], progress: _Progress, deadline: float, limiter: RateLimiter) -> T:
        authenticator = call.authenticator
        renewed = False
        while True:
            self._check_open()
            progress.attempts += 1
            authorization = _NO_CREDENTIALS if authenticator is None else await authenticator.authorize()
            attempt = progress.attempt = Attempt(progress.attempts, self._clock())
            failure: PublitracError | None = None
            result: T | None = None
            try:
                leave = functools.partial(self._leave, call.operation.name, attempt, limiter)
                answer = await self._wire.exchange(call, authorization, attempt, leave)
                parsed = call.parse(answer)
                result = await in_turns(parsed) if isinstance(parsed, Generator) else parsed
            except PublitracError as error:
                failure = error.with_traceback(None)
            progress.attempt = None
            self._tell(call.operation.name, attempt, failure)
            if failure is None:
                if authenticator is not None and attempt.sent_at is not None:
                    await authenticator.accepted(authorization, attempt.sent_at)
                self._budget.give_back(progress.cost or 1)
                return cast("T", result)
            if failure.status is None:
                failure.status = attempt.status
            if authenticator is not None and isinstance(failure, authenticator.doubted_after) and not renewed:
                await authenticator.rejected(authorization)
                renewed = True
                continue
            await self._wait_or_give_up(call.operation, failure, progress, deadline, limiter)

    async def _wait_or_give_up(
        self,
        operation: Operation,
        failure: PublitracError,
        progress: _Progress,
        deadline: float,
        limiter: RateLimiter,
    ) -> None:
        """Wait until the call may be repeated, or raise `failure`."""
        if operation.operation_class is OperationClass.READ:
            failure.maybe_applied = False
        elif isinstance(failure, UnexpectedContent):
            failure.maybe_applied = True  # An answer came, whatever it was.
        progress.maybe_applied |= failure.maybe_applied
        if isinstance(failure, RateLimited) and failure.retry_after:
            limiter.pause(min(failure.retry_after, self._retry.max_retry_after))
        level = self._budget.level
        wait = next_wait(
            self._retry,
            failure,
            operation.operation_class,
            attempt=progress.attempts,
            remaining=deadline - self._clock(),
            budget=self._budget,
            random=self._draw,
        )
        if wait is None:
            failure.maybe_applied = progress.maybe_applied
            raise failure
        progress.cost += level - self._budget.level
        name, error = operation.name, type(failure).__name__
        self.emit(RetryScheduled(operation=name, attempt=progress.attempts, wait=wait, error=error))
        logger.info("%s: %s, again in %.2f s", name, error, wait)
        await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        """Wait, or end with the client."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _leave(self, name: str, attempt: Attempt, limiter: RateLimiter) -> None:
        asked = self._clock()
        if len(self._in_flight) > 1:
            # Other tasks come this far in this turn of the event loop. Requests that then leave right after
            # each other cost less than as many that each wake up who reads them.
            await asyncio.sleep(0)
        await limiter.acquire()
        attempt.sent_at = self._clock()
        if self._hooks:
            self.emit(
                RequestSent(operation=name, attempt=attempt.number, limiter_wait=attempt.sent_at - asked)
            )

    def _tell(self, name: str, attempt: Attempt, failure: BaseException | None) -> None:
        if not self._hooks and not logger.isEnabledFor(logging.DEBUG):
            return
        event = AttemptEnded(
            operation=name,
            attempt=attempt.number,
            elapsed=self._clock() - attempt.started,
            status=attempt.status,
            error=None if failure is None else type(failure).__name__,
            code=failure.code if isinstance(failure, PublitracError) else None,
        )
        logger.debug(
            "%s: attempt %d, HTTP %s, %s in %.3f s",
            name,
            event.attempt,
            event.status,
            event.error or "success",
            event.elapsed,
        )
        self.emit(event)

    def _tell_interrupted(self, call: Call[Any], progress: _Progress, error: BaseException) -> None:
        """Tell of the end of an attempt in whose middle the call was cancelled or ran out of time."""
        if progress.attempt is not None:
            self._tell(call.operation.name, progress.attempt, error)

    def _cut_short(self, call: Call[Any], progress: _Progress) -> PublitracError:
        """The error of a call that ran out of time, or that still waited when the client closed."""
        attempt = progress.attempt
        in_flight = attempt is not None and attempt.sent_at is not None
        reads = call.operation.operation_class is OperationClass.READ
        where = "while an answer was awaited" if in_flight else "before anything was sent"
        if not in_flight and progress.attempts > 1:
            where = f"before attempt {progress.attempts} was sent"
        maybe_applied = in_flight and not reads
        if self._out_of_patience:
            return ClientStateError(f"the client was closed {where}", maybe_applied=maybe_applied)
        return DeadlineExceeded(
            f"{(call.timeout or self._timeout).total} s were not enough, {where}", maybe_applied=maybe_applied
        )

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise ClientStateError("the client is closed: open a new one")

    def _check_home(self) -> None:
        if self._forks != _Process.forks:
            raise ClientStateError("the client was opened in another process: open one after the fork")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to another event loop: open one client in each loop, inside it"
            )
