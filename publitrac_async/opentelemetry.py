"""Spans and metrics of calls, for OpenTelemetry (extra ``otel``).

::

    from publitrac_async import PublitracClient
    from publitrac_async.opentelemetry import OpenTelemetry

    async with PublitracClient.from_env(hooks=[OpenTelemetry()]) as publitrac:
        ...

Spans and metrics hold no query, header, body or value of a field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextvars import Token
from typing import Any, Final, TypeAlias

from attrs import define, field

try:
    from opentelemetry import context, metrics, propagate, trace
except ImportError as _error:
    raise ImportError(
        "spans and metrics need an extra: pip install 'publitrac_async[otel]'", name=_error.name
    ) from None

from publitrac_async.transport.events import (
    AnyRunEvent,
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallEvent,
    CallOutcome,
    CallStarted,
    ChunkEnded,
    ChunkStarted,
    Event,
    QueueLeft,
    RequestSent,
    RetryScheduled,
    RowsCompleted,
    RunEnded,
    RunEvent,
    RunStarted,
    TokenRenewed,
)
from publitrac_async.version import __version__

__all__ = ["OpenTelemetry"]

_NAME: Final = "publitrac_async"
#: Upper bounds of histogram buckets, in seconds. OpenTelemetry's defaults are for milliseconds.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

#: State of rows that will be sent again.
_PENDING: Final = "pending"

_Attributes: TypeAlias = dict[str, str | int | float | bool]


@define
class _OpenCall:
    span: trace.Span
    token: Token[context.Context]
    in_flight: bool = False


@define
class _OpenRun:
    span: trace.Span
    token: Token[context.Context]
    counted: Counter[str] = field(factory=Counter)


class OpenTelemetry:
    """Hook that records a span for each call and each attempt, and metrics.

    It is also a hook of bulk runs (``Monitor(hooks=[...])``) and of workers (``serve(..., hooks=[...])``),
    and records a span for each run and each chunk. One object serves any number of clients and runs. The span
    of a call is of kind CLIENT and a child of the current span of the caller. It is current during the call,
    so spans of its attempts and of its token request are its children.

    Args:
        tracer_provider: instead of the global one.
        meter_provider: instead of the global one.
        inject: send the context of the trace (``traceparent``) to the service with each request, by the
            global propagator. The vendors do not read it, but your own gateway may.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        inject: bool = False,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        self._inject = inject
        self._calls: dict[str, _OpenCall] = {}
        self._attempts: dict[str, trace.Span] = {}
        self._runs: dict[str, _OpenRun] = {}
        meter = metrics.get_meter(_NAME, __version__, meter_provider)

        def seconds(name: str, description: str) -> metrics.Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS
            )

        self._request_duration = seconds("http.client.request.duration", "Duration of HTTP client requests.")
        self._call_duration = seconds("publitrac.call.duration", "Calls, with waits and retries.")
        self._queue_wait = seconds(
            "publitrac.call.queue_wait", "Waits of calls for a slot of a fixed concurrency."
        )
        self._limiter_wait = seconds("publitrac.call.limiter_wait", "Waits of calls for the rate limiter.")
        self._queued = meter.create_up_down_counter("publitrac.call.queued", "{call}", "Calls in the queue.")
        self._in_flight = meter.create_up_down_counter(
            "publitrac.call.in_flight", "{call}", "Calls that left the queue and have not ended."
        )
        self._retries = meter.create_counter("publitrac.call.retries", "{retry}", "Retries of calls.")
        self._rows = meter.create_counter("publitrac.bulk.rows", "{row}", "Rows of bulk runs by outcome.")
        self._renewals = meter.create_counter("publitrac.token.renewals", "{token}", "New tokens.")
        self._handlers: dict[type, Callable[[Any], None]] = {
            CallStarted: self._call_started,
            QueueLeft: self._queue_left,
            AttemptStarted: self._attempt_started,
            RequestSent: self._request_sent,
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._retry_scheduled,
            TokenRenewed: self._token_renewed,
            CallEnded: self._call_ended,
            RunStarted: self._run_started,
            RowsCompleted: self._rows_completed,
            RunEnded: self._run_ended,
            ChunkStarted: self._chunk_started,
            ChunkEnded: self._open_run_ended,
        }

    def __call__(self, event: Event | AnyRunEvent) -> None:
        """Record an event of a client, a bulk run or a worker."""
        if (handle := self._handlers.get(type(event))) is not None:
            handle(event)

    def request_headers(self, event: AttemptStarted) -> Iterable[tuple[str, str]]:
        """Return the header fields that carry the trace to the service."""
        if not self._inject:
            return ()
        span = self._attempts.get(event.call_id)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, None if span is None else trace.set_span_in_context(span))
        return carrier.items()

    def _call_started(self, event: CallStarted) -> None:
        span = self._tracer.start_span(
            f"{event.vendor} {event.operation}",
            kind=trace.SpanKind.CLIENT,
            attributes=_http(event) | {"publitrac.call_id": event.call_id},
        )
        token = context.attach(trace.set_span_in_context(span))
        self._calls[event.call_id] = _OpenCall(span, token)
        self._queued.add(1, _place(event))

    def _queue_left(self, event: QueueLeft) -> None:
        if (call := self._calls.get(event.call_id)) is None:
            return
        call.in_flight = True
        call.span.add_event("queue left", {"publitrac.queue_wait": event.queue_wait})
        self._queued.add(-1, _place(event))
        self._in_flight.add(1, _place(event))

    def _attempt_started(self, event: AttemptStarted) -> None:
        # The current span is that of the call, or of the call that needs the token.
        if event.token_wait and (call := self._calls.get(event.call_id)) is not None:
            call.span.add_event("credentials ready", {"publitrac.token_wait": event.token_wait})
        self._attempts[event.call_id] = self._tracer.start_span(
            f"{event.method} {event.path}", attributes=_http(event) | _resent(event.attempt)
        )

    def _request_sent(self, event: RequestSent) -> None:
        if (span := self._attempts.get(event.call_id)) is not None:
            span.add_event("request sent", {"publitrac.limiter_wait": event.limiter_wait})

    def _attempt_ended(self, event: AttemptEnded) -> None:
        if (span := self._attempts.pop(event.call_id, None)) is None:
            return
        end = _end(event.status, event.error)
        span.set_attributes(
            end
            | {
                "publitrac.connection_wait": event.connection_wait,
                "publitrac.limiter_wait": event.limiter_wait,
                "publitrac.response_time": event.response_time,
            }
        )
        _close(span, event.error, cancelled=event.error == "CancelledError")
        if event.status is not None or event.response_time:
            seconds = event.connection_wait + event.response_time
            self._request_duration.record(seconds, _http(event) | end)

    def _retry_scheduled(self, event: RetryScheduled) -> None:
        self._retries.add(1, _place(event) | {"error.type": event.error})
        if (call := self._calls.get(event.call_id)) is not None:
            call.span.add_event("retry scheduled", {"publitrac.wait": event.wait, "error.type": event.error})

    def _token_renewed(self, event: TokenRenewed) -> None:
        self._renewals.add(1, _place(event))

    def _call_ended(self, event: CallEnded) -> None:
        if (call := self._calls.pop(event.call_id, None)) is None:
            return
        outcome: _Attributes = {"publitrac.outcome": event.outcome.value}
        call.span.set_attributes(
            _end(event.status, event.error)
            | _resent(event.attempts)
            | outcome
            | {
                "publitrac.attempts": event.attempts,
                "publitrac.queue_wait": event.queue_wait,
                "publitrac.token_wait": event.token_wait,
                "publitrac.connection_wait": event.connection_wait,
                "publitrac.limiter_wait": event.limiter_wait,
                "publitrac.response_time": event.response_time,
                "publitrac.retry_wait": event.retry_wait,
                "publitrac.maybe_applied": event.maybe_applied,
            }
            | ({} if event.code is None else {"publitrac.code": str(event.code)})
        )
        _close(call.span, event.error, cancelled=event.outcome is CallOutcome.CANCELLED)
        context.detach(call.token)
        place = _place(event)
        (self._in_flight if call.in_flight else self._queued).add(-1, place)
        operation: _Attributes = place | outcome | {"publitrac.operation": event.operation}
        self._queue_wait.record(event.queue_wait, operation)
        self._limiter_wait.record(event.limiter_wait, operation)
        self._call_duration.record(
            event.elapsed, operation | ({} if event.error is None else {"error.type": event.error})
        )

    def _run_started(self, event: RunStarted) -> None:
        self._open_run(event, "publitrac bulk run", {"publitrac.source": event.source})

    def _chunk_started(self, event: ChunkStarted) -> None:
        names: _Attributes = {"publitrac.job": event.job, "publitrac.chunk": event.chunk}
        self._open_run(event, "publitrac bulk chunk", names)

    def _open_run(self, event: RunEvent, name: str, attributes: _Attributes) -> None:
        names: _Attributes = {"publitrac.run_id": event.run_id, "publitrac.sink": event.sink}
        span = self._tracer.start_span(name, attributes=names | attributes)
        self._runs[event.run_id] = _OpenRun(span, context.attach(trace.set_span_in_context(span)))

    def _rows_completed(self, event: RowsCompleted) -> None:
        if (run := self._runs.get(event.run_id)) is None:
            return
        for state, rows in event.outcomes.items():
            if state != _PENDING:
                run.counted[state] += rows
                self._count(event, state, rows)

    def _run_ended(self, event: RunEnded) -> None:
        if (run := self._runs.get(event.run_id)) is None:
            return
        # Rows that needed no call, and those that are still pending.
        for state, rows in event.outcomes.items():
            if rows > run.counted[state]:
                self._count(event, state, rows - run.counted[state])
        self._open_run_ended(event)

    def _count(self, event: RunEvent, state: str, rows: int) -> None:
        self._rows.add(rows, {"publitrac.sink": event.sink, "publitrac.outcome": state})

    def _open_run_ended(self, event: RunEnded | ChunkEnded) -> None:
        if (run := self._runs.pop(event.run_id, None)) is None:
            return
        run.span.set_attribute("publitrac.stopped", event.stopped)
        for state, rows in event.outcomes.items():
            run.span.set_attribute(f"publitrac.rows.{state}", rows)
        if event.error is not None:
            run.span.set_attribute("error.type", event.error)
        _close(run.span, event.error, cancelled=event.error == "CancelledError")
        context.detach(run.token)


def _place(event: CallEvent) -> _Attributes:
    return {"publitrac.vendor": event.vendor, "server.address": event.host}


def _http(event: CallEvent) -> _Attributes:
    attributes = _place(event) | {"publitrac.operation": event.operation, "server.port": event.port}
    if event.method:
        attributes |= {"http.request.method": event.method, "url.template": event.path}
    return attributes


def _resent(attempts: int) -> _Attributes:
    return {"http.request.resend_count": attempts - 1} if attempts > 1 else {}


def _end(status: int | None, error: str | None) -> _Attributes:
    attributes: _Attributes = {}
    if status is not None:
        attributes["http.response.status_code"] = status
    if error is not None:
        attributes["error.type"] = error
    return attributes


def _close(span: trace.Span, error: str | None, *, cancelled: bool) -> None:
    # A caller that stops waiting is not an error of the service.
    if error is not None and not cancelled:
        span.set_status(trace.StatusCode.ERROR, error)
    span.end()


def __dir__() -> list[str]:
    return sorted(__all__)
