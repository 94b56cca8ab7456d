"""Reports of calls: events for hooks, log records, and the gauges of a client."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import evolve

from publitrac_async.errors import LimiterUnavailable, NotFound, PublitracError
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallOutcome,
    CallStarted,
    Event,
    HeaderHook,
    Hook,
    QueueLeft,
    RequestSent,
    RetryScheduled,
    TokenRenewed,
)
from publitrac_async.transport.operation import Operation, OperationClass
from publitrac_async.transport.record import Attempt, CallRecord, Observation
from publitrac_async.transport.secret import Secret

E = TypeVar("E")

logger: Final = logging.getLogger("publitrac_async")

_PORTS: Final = {"http": 80, "https": 443}
#: `GeneratorExit`: the event loop was closed around the call.
_CANCELLED: Final = (asyncio.CancelledError, GeneratorExit)


class Reporter:
    """Reports the calls of one client to hooks and the log, and counts those in progress.

    Args:
        hooks: called with every event.
        vendor: name of the vendor in events.
        base_url: address of the service.
        log_failures: log each failed call as a warning, after its retries.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        *,
        vendor: str,
        base_url: str,
        log_failures: bool,
        clock: Callable[[], float],
    ) -> None:
        self._hooks = tuple(hooks)
        self._vendor = vendor
        self._base_url = base_url
        self._failure_level = logging.WARNING if log_failures else logging.DEBUG
        self._clock = clock
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(4)
        #: Called at the end of each attempt, before the hooks, by clients that adapt to errors.
        self.on_attempt: Callable[[Operation, BaseException | None], None] | None = None
        #: Number of calls in the queue.
        self.queued: int = 0
        #: Number of calls that left the queue and have not ended.
        self.in_flight: int = 0

    def call_id(self, record: CallRecord) -> str:
        """Return the id of a call in events, log records and errors."""
        return f"{self._prefix}-{record.number}"

    # Events of a call, in order.

    def begin(
        self, operation: Operation, *, max_attempts: int = 1, token_request: bool = False
    ) -> CallRecord:
        """Begin the record of a call."""
        record = CallRecord(next(self._numbers), operation, self._clock(), max_attempts, token_request)
        if self._hooks:
            record.observation = Observation(self._names(record))
        if not token_request:
            self.queued += 1
            if record.observation is not None:
                self.emit(CallStarted(**record.observation.names))
        return record

    def queue_left(self, record: CallRecord) -> None:
        """Report that a call has its slot."""
        record.queued = False
        if record.token_request:
            return
        self.queued -= 1
        self.in_flight += 1
        if (observation := record.observation) is not None:
            observation.queue_left(self._clock() - record.started)
            self.emit(
                QueueLeft(**observation.names, queue_wait=observation.queue, limiter_wait=observation.limiter)
            )

    def attempt_started(
        self, observation: Observation, attempt: Attempt, authorization: Authorization
    ) -> Authorization:
        """Report the start of an attempt, and return its credentials with the header fields of hooks."""
        wait = observation.token_arrived(attempt.started)
        event = AttemptStarted(**observation.names, attempt=attempt.number, token_wait=wait)
        self.emit(event)
        for hook in self._hooks:
            if isinstance(hook, HeaderHook):
                authorization = self._with_headers(hook, event, authorization)
        return authorization

    def request_sent(self, observation: Observation, attempt: Attempt) -> None:
        """Report that a request is about to be written."""
        connection, limiter, _ = _parts(attempt, self._clock())
        if attempt.number == 1:
            limiter += observation.limiter
        self.emit(
            RequestSent(
                **observation.names, attempt=attempt.number, limiter_wait=limiter, connection_wait=connection
            )
        )

    def attempt_ended(self, record: CallRecord, attempt: Attempt, failure: BaseException | None) -> None:
        """Report the end of an attempt."""
        record.attempt = None
        record.status = attempt.status
        if self.on_attempt is not None:
            self.on_attempt(record.operation, failure)
        if record.observation is None and not logger.isEnabledFor(logging.DEBUG):
            return
        now = self._clock()
        elapsed = now - attempt.started
        logger.debug(
            "%s: attempt %d of %d, HTTP %s, %s in %.3f s",
            record.operation.name,
            attempt.number,
            record.max_attempts,
            attempt.status,
            "success" if failure is None else type(failure).__name__,
            elapsed,
            extra=self._fields(record, failure),
        )
        if (observation := record.observation) is None:
            return
        connection, limiter, response = _parts(attempt, now)
        observation.connection += connection
        observation.limiter += limiter
        observation.response += response
        self.emit(
            AttemptEnded(
                **observation.names,
                attempt=attempt.number,
                elapsed=elapsed,
                connection_wait=connection,
                limiter_wait=limiter,
                response_time=response,
                status=attempt.status,
                error=_error_name(failure),
                code=_code(failure),
            )
        )

    def retry_scheduled(self, record: CallRecord, failure: PublitracError, wait: float) -> None:
        """Report that a call waits for its next attempt."""
        logger.info(
            "%s: %s in attempt %d of %d, retry in %.2f s",
            record.operation.name,
            type(failure).__name__,
            record.attempts,
            record.max_attempts,
            wait,
            extra=self._fields(record, failure) | {"wait": wait},
        )
        if record.observation is not None:
            self.emit(
                RetryScheduled(
                    **record.observation.names,
                    attempt=record.attempts,
                    wait=wait,
                    error=type(failure).__name__,
                )
            )

    def limiter_unavailable(self, failure: LimiterUnavailable) -> None:
        """Log that calls wait for an unavailable rate limiter."""
        logger.warning(
            "waiting for the rate limiter: %s",
            failure.message,
            extra={"vendor": self._vendor, "error": type(failure).__name__},
        )

    def retry_begins(self, record: CallRecord, paused_at: float) -> None:
        """Record the end of a pause that began at `paused_at`."""
        if record.observation is not None:
            record.observation.retry += self._clock() - paused_at

    def token_renewed(self, record: CallRecord, ttl: float) -> None:
        """Report a new token."""
        if record.observation is not None:
            elapsed = self._clock() - record.started
            self.emit(TokenRenewed(**record.observation.names, ttl=ttl, elapsed=elapsed))

    def end(self, record: CallRecord, failure: BaseException | None) -> None:
        """Report the end of a call. Every begun record ends here, once."""
        if record.attempt is not None:
            self.attempt_ended(record, record.attempt, failure)
        if record.token_request:
            return
        if record.queued:
            self.queued -= 1
        else:
            self.in_flight -= 1
        observation = record.observation
        if failure is None and observation is None:
            return
        now = self._clock()
        elapsed = now - record.started
        if failure is not None:
            self._log_failure(record, failure, elapsed)
        if observation is None:
            return
        observation.token_arrived(now)
        if record.queued:
            observation.queue_left(elapsed)
        self.emit(
            CallEnded(
                **observation.names,
                outcome=_outcome(failure),
                attempts=record.attempts,
                elapsed=elapsed,
                queue_wait=observation.queue,
                token_wait=observation.token,
                connection_wait=observation.connection,
                limiter_wait=observation.limiter,
                response_time=observation.response,
                retry_wait=observation.retry,
                status=_status(record, failure),
                error=_error_name(failure),
                code=_code(failure),
                maybe_applied=isinstance(failure, PublitracError) and failure.maybe_applied,
            )
        )

    def refused(self, error: PublitracError, name: str) -> None:
        """Report a call that was refused before it reached the transport.

        Args:
            error: gets the id of the call.
            name: name of the call, if the error has no operation.
        """
        operation = Operation(
            name=error.operation or name, verb="", path="", operation_class=OperationClass.READ
        )
        record = self.begin(operation)
        error.call_id = self.call_id(record)
        self.end(record, error)

    def emit(self, event: Event) -> None:
        """Pass an event to the hooks."""
        emit(self._hooks, event)

    # Parts of events and log records.

    def _with_headers(
        self, hook: HeaderHook, event: AttemptStarted, authorization: Authorization
    ) -> Authorization:
        try:
            headers = [
                (name, Secret(value, name, header=True)) for name, value in hook.request_headers(event)
            ]
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (a hook must not lose a lead)
            _hook_raised(error, event)
            return authorization
        return evolve(authorization, headers=(*authorization.headers, *headers)) if headers else authorization

    def _log_failure(self, record: CallRecord, failure: BaseException, elapsed: float) -> None:
        cancelled = isinstance(failure, _CANCELLED)
        # A lead that does not exist is an expected result.
        quiet = cancelled or isinstance(failure, NotFound)
        level = min(logging.INFO, self._failure_level) if quiet else self._failure_level
        if not logger.isEnabledFor(level):
            return
        status, code = _status(record, failure), _code(failure)
        facts = [
            type(failure).__name__,
            *([f"HTTP {status}"] if status is not None else []),
            *([f"code {code}"] if code is not None else []),
            f"{record.attempts} of {record.max_attempts} attempts",
        ]
        logger.log(
            level,
            "%s: %s (%s) after %.3f s",
            record.operation.name,
            "cancelled" if cancelled else "failed",
            ", ".join(facts),
            elapsed,
            extra=self._fields(record, failure) | {"elapsed": elapsed},
        )

    def _names(self, record: CallRecord) -> dict[str, Any]:
        operation = record.operation
        host, port = self._address(operation.base_url)
        return {
            "call_id": self.call_id(record),
            "operation": operation.name,
            "vendor": self._vendor,
            "host": host,
            "port": port,
            "method": operation.verb,
            "path": operation.path,
        }

    def _fields(self, record: CallRecord, failure: BaseException | None) -> dict[str, Any]:
        """Return the `extra` fields of a log record."""
        return {
            "call_id": self.call_id(record),
            "operation": record.operation.name,
            "vendor": self._vendor,
            "host": self._address(record.operation.base_url)[0],
            "attempt": record.attempts,
            "max_attempts": record.max_attempts,
            "status": _status(record, failure),
            "error": _error_name(failure),
            "code": _code(failure),
        }

    def _address(self, base_url: str | None) -> tuple[str, int]:
        parts = urllib.parse.urlsplit(base_url or self._base_url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)


def emit(hooks: Sequence[Callable[[E], None]], event: E) -> None:
    """Pass an event to hooks, and log the errors that they raise."""
    for hook in hooks:
        try:
            hook(event)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (a hook must not lose a lead)
            _hook_raised(error, event)


def _hook_raised(error: BaseException, event: object) -> None:
    name, kind = type(event).__name__, type(error).__name__
    names = ("call_id", "operation", "run_id")
    fields = {each: getattr(event, each) for each in names if hasattr(event, each)}
    fields |= {"event": name, "error": kind}
    logger.warning("a hook raised %s at %s", kind, name, extra=fields)


def _parts(attempt: Attempt, now: float) -> tuple[float, float, float]:
    """Return the seconds for the connection, for the rate limiter, and for the response."""
    connected = now if attempt.connected_at is None else attempt.connected_at
    sent = now if attempt.sent_at is None else attempt.sent_at
    return connected - attempt.started, sent - connected, now - sent


def _error_name(failure: BaseException | None) -> str | None:
    return None if failure is None else type(failure).__name__


def _code(failure: BaseException | None) -> int | str | None:
    return failure.code if isinstance(failure, PublitracError) else None


def _status(record: CallRecord, failure: BaseException | None) -> int | None:
    return failure.status if isinstance(failure, PublitracError) and failure.status else record.status


def _outcome(failure: BaseException | None) -> CallOutcome:
    if failure is None:
        return CallOutcome.SUCCESS
    return CallOutcome.CANCELLED if isinstance(failure, _CANCELLED) else CallOutcome.FAILED
