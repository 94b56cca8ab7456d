"""The events of a call, the gauges, and the log: every call ends in exactly one `CallEnded`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from publitrac_async import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallEvent,
    CallOutcome,
    CallStarted,
    ClientStateError,
    DeadlineExceeded,
    LeadNotFound,
    NotSent,
    PublitracError,
    QueueLeft,
    RequestSent,
    RetryScheduled,
    ServerError,
    Timeout,
    TokenRenewed,
    UnexpectedContent,
    ValidationError,
    WindowLimiter,
)
from publitrac_async.transport.auth import Authorization, SharedToken, Token
from publitrac_async.transport.operation import Call, Operation, OperationClass
from publitrac_async.transport.secret import Secret
from tests.support.clients import READ, call, transport
from tests.support.clock import now, virtual
from tests.support.script import LOST, REFUSED, Script, ok, pipeline, raises, status


def ends(events: list[CallEvent]) -> list[CallEnded]:
    """Return the ends, after a check that each call begins once, then ends once, and nothing follows."""
    by_call: dict[str, list[CallEvent]] = {}
    for event in events:
        by_call.setdefault(event.call_id, []).append(event)
    for course in by_call.values():
        kinds = [type(event) for event in course]
        assert kinds[0] is CallStarted
        assert kinds[-1] is CallEnded
        assert (kinds.count(CallStarted), kinds.count(CallEnded)) == (1, 1)
        assert kinds.count(AttemptStarted) == kinds.count(AttemptEnded)
    return [event for event in events if isinstance(event, CallEnded)]


# One call


@virtual
async def test_a_call_with_retries_emits_every_step() -> None:
    sender, events = pipeline(LOST, [0.5, status(503)], ok())
    await sender.send(call())
    attempt = (AttemptStarted, RequestSent, AttemptEnded)
    assert [type(event) for event in events] == [
        CallStarted,
        QueueLeft,
        *(*attempt, RetryScheduled) * 2,
        *attempt,
        CallEnded,
    ]
    ended = [event for event in events if isinstance(event, AttemptEnded)]
    assert [(event.attempt, event.status, event.error) for event in ended] == [
        (1, None, "OutcomeUnknown"),
        (2, 503, "ServerError"),
        (3, 200, None),
    ]
    assert ended[1].elapsed == ended[1].response_time == pytest.approx(0.5, abs=0.001)
    assert [event.wait for event in events if isinstance(event, RetryScheduled)] == [0.125, 0.25]
    (end,) = ends(events)
    assert (end.outcome, end.attempts, end.status, end.error) == (CallOutcome.SUCCESS, 3, 200, None)
    assert end.retry_wait == pytest.approx(0.375, abs=0.001)
    assert end.response_time == pytest.approx(0.5, abs=0.001)


@virtual
async def test_every_event_names_call_operation_vendor_and_address() -> None:
    sender, events = pipeline(ok(), vendor="publitrac", base_url="https://app.example.com/api")
    elsewhere = Operation(
        name="token",
        verb="GET",
        path="/token",
        operation_class=OperationClass.READ,
        base_url="http://login.example.com:8080",
    )
    await sender.send(call())
    await sender.send(call(elsewhere))
    names = {(e.operation, e.vendor, e.host, e.port, e.method, e.path) for e in events}
    assert names == {
        ("upsert", "publitrac", "app.example.com", 443, "POST", "/upsert"),
        ("token", "publitrac", "login.example.com", 8080, "GET", "/token"),
    }
    assert len({event.call_id for event in events}) == 2


@virtual
async def test_waits_are_told_apart() -> None:
    limiter = WindowLimiter(35, clock=now)
    limiter.pause(3)

    class Slow:
        reauthenticate_on = ()

        async def authorize(self) -> Authorization:
            await asyncio.sleep(2)
            return Authorization()

        async def accepted(self, authorization: Authorization, sent_at: float) -> None: ...

        async def rejected(self, authorization: Authorization) -> None: ...

    sender, events = pipeline([5.0, ok()], limiter=limiter, concurrency=1)
    begun = now()
    calls = [asyncio.create_task(sender.send(call(authenticator=Slow()))) for _ in range(2)]
    await asyncio.gather(*calls)
    first, second = ends(events)
    assert [round(w) for w in (first.queue_wait, first.token_wait, first.limiter_wait)] == [0, 2, 1]
    assert [round(w) for w in (second.queue_wait, second.token_wait, second.limiter_wait)] == [8, 2, 0]
    for end in (first, second):
        assert end.response_time == pytest.approx(5, abs=0.01)
        parts = end.queue_wait + end.token_wait + end.connection_wait + end.limiter_wait + end.response_time
        assert end.elapsed == pytest.approx(parts + end.retry_wait, abs=0.01)
    assert second.elapsed == pytest.approx(now() - begun, abs=0.01)
    assert [round(e.queue_wait) for e in events if isinstance(e, QueueLeft)] == [0, 8]
    assert [round(e.token_wait) for e in events if isinstance(e, AttemptStarted)] == [2, 2]
    assert [round(e.limiter_wait) for e in events if isinstance(e, RequestSent)] == [1, 0]


@virtual
async def test_a_wait_for_the_limit_is_reported_completely() -> None:
    """The slots follow the limit, so most of the wait is for a slot."""
    sender, events = pipeline([0.05, ok()], limiter=WindowLimiter(35, clock=now), concurrency=None)
    begun = now()
    await asyncio.gather(*(sender.send(call()) for _ in range(300)))
    took = now() - begun
    assert took > 7
    told = ends(events)
    assert max(end.limiter_wait for end in told) == pytest.approx(took - 0.05, abs=0.1)
    assert {end.queue_wait for end in told} == {0}
    assert max(e.limiter_wait for e in events if isinstance(e, RequestSent)) == pytest.approx(took, abs=0.1)
    for end in told:
        assert end.elapsed == pytest.approx(end.limiter_wait + end.response_time, abs=0.01)


@virtual
async def test_a_call_that_fails_in_the_queue_for_the_limit_tells_its_wait() -> None:
    limiter = WindowLimiter(1, clock=now)
    sender, events = pipeline(ok(), limiter=limiter, concurrency=None, timeout=Timeout(queue=3))
    results = await asyncio.gather(*(sender.send(call()) for _ in range(20)), return_exceptions=True)
    failed = [end for end in ends(events) if end.error == "QueueTimeout"]
    assert len(failed) == sum(isinstance(result, PublitracError) for result in results) > 10
    assert all(end.limiter_wait == pytest.approx(3, abs=0.05) for end in failed)


@pytest.mark.parametrize(
    ("steps", "options", "kind"),
    [
        ([REFUSED], {}, NotSent),
        ([status(503)], {}, ServerError),
        ([ok()], {"parse": raises(LeadNotFound("none", code=9011))}, LeadNotFound),
        ([ok()], {"parse": raises(UnexpectedContent("cut"))}, UnexpectedContent),
        ([ok()], {"parse": raises(ZeroDivisionError())}, ZeroDivisionError),
        ([ok()], {"query": (("email", "\ud800"),)}, ValidationError),
        ([[1000.0, ok()]], {"timeout": Timeout(total=5)}, DeadlineExceeded),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@virtual
async def test_a_failed_call_ends_once(
    steps: list[Any], options: dict[str, Any], kind: type[Exception]
) -> None:
    sender, events = pipeline(*steps)
    with pytest.raises(kind) as caught:
        await sender.send(call(READ, **options))
    (end,) = ends(events)
    assert (end.outcome, end.error) == (CallOutcome.FAILED, kind.__name__)
    if isinstance(caught.value, PublitracError):
        assert caught.value.call_id == end.call_id
        assert (caught.value.code, caught.value.attempts) == (end.code, end.attempts)
    assert sender.reporter.queued == sender.reporter.in_flight == 0


@virtual
async def test_calls_that_end_in_the_queue_are_reported() -> None:
    sender, events = pipeline([10.0, ok()], concurrency=2, timeout=Timeout(queue=15))
    calls = [asyncio.create_task(sender.send(call())) for _ in range(9)]
    await asyncio.sleep(1)
    assert (sender.reporter.in_flight, sender.reporter.queued) == (2, 7)
    for task in calls[-3:]:
        task.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    told = ends(events)
    assert len(told) == len(calls)
    outcomes = [end.error or "success" for end in told]
    assert sorted(outcomes) == sorted(
        "success" if isinstance(result, bytes) else type(result).__name__ for result in results
    )
    assert outcomes.count("CancelledError") == 3
    assert outcomes.count("QueueTimeout") >= 2
    cancelled = [end for end in told if end.outcome is CallOutcome.CANCELLED]
    assert [(end.attempts, round(end.queue_wait)) for end in cancelled] == [(0, 1)] * 3
    assert (sender.reporter.in_flight, sender.reporter.queued) == (0, 0)


@virtual
async def test_a_call_of_a_closed_client_is_reported() -> None:
    sender, events = pipeline([100.0, ok()], concurrency=1)
    calls = [asyncio.create_task(sender.send(call())) for _ in range(3)]
    await asyncio.sleep(1)
    await sender.aclose()
    await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(ClientStateError):
        await sender.send(call())
    assert [end.error for end in ends(events)] == ["ClientStateError"] * 4


def test_a_call_from_another_event_loop_is_reported() -> None:
    sender, events = pipeline(ok())
    asyncio.run(sender.send(call()))
    with pytest.raises(ClientStateError):
        asyncio.run(sender.send(call()))
    assert [end.error for end in ends(events)] == [None, "ClientStateError"]


@virtual
async def test_an_interrupted_attempt_has_its_end_before_the_call() -> None:
    sender, events = pipeline([1000.0, ok()])
    task = asyncio.create_task(sender.send(call()))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    attempt = events[-2]
    assert isinstance(attempt, AttemptEnded)
    assert (attempt.error, attempt.response_time) == ("CancelledError", pytest.approx(1, abs=0.001))
    (end,) = ends(events)
    assert (end.outcome, end.response_time) == (CallOutcome.CANCELLED, pytest.approx(1, abs=0.001))


@virtual
async def test_a_wait_for_a_token_that_ends_in_cancellation_is_counted() -> None:
    class Never:
        reauthenticate_on = ()

        async def authorize(self) -> Authorization:
            await asyncio.sleep(1000)
            raise AssertionError

        async def accepted(self, authorization: Authorization, sent_at: float) -> None: ...

        async def rejected(self, authorization: Authorization) -> None: ...

    sender, events = pipeline(ok(), timeout=Timeout(total=4))
    with pytest.raises(DeadlineExceeded):
        await sender.send(call(authenticator=Never()))
    (end,) = ends(events)
    assert end.token_wait == pytest.approx(4, abs=0.001)


# Token requests


@virtual
async def test_a_shared_token_request_is_reported_once_and_is_no_call_of_the_program() -> None:
    sender, events = pipeline([2.0, status(503)], [2.0, ok()])
    request = Call(operation=READ, parse=lambda response: (Secret(read(response), "token"), 900.0))

    def read(response: Any) -> str:
        if response.status != 200:
            raise ServerError("away", retryable=True, status=response.status)
        return "token"

    async def fetch() -> Token:
        value, ttl = await sender.request_token(request)
        return Token(value=value, ttl=ttl, expires_at=now() + ttl)

    token = SharedToken(fetch, header="Token", clock=now)
    await asyncio.gather(*(sender.send(call(authenticator=token)) for _ in range(3)))
    own = [event for event in events if event.operation == READ.name]
    assert len({event.call_id for event in own}) == 1
    assert [type(event) for event in own if not isinstance(event, RequestSent)] == [
        *(AttemptStarted, AttemptEnded, RetryScheduled),
        *(AttemptStarted, AttemptEnded, TokenRenewed),
    ]
    renewed = own[-1]
    assert isinstance(renewed, TokenRenewed)
    assert (renewed.ttl, round(renewed.elapsed)) == (900, 4)
    told = ends([event for event in events if event.operation != READ.name])
    assert [round(end.token_wait) for end in told] == [4, 4, 4]


# Hooks that misbehave, and none


@virtual
async def test_without_hooks_no_event_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a call without hooks pays for events")

    sender = transport(Script(status(503), ok()))
    for kind in ("CallStarted", "QueueLeft", "AttemptStarted", "RequestSent", "AttemptEnded", "CallEnded"):
        monkeypatch.setattr(f"publitrac_async.transport.reporter.{kind}", refuse)
    monkeypatch.setattr("publitrac_async.transport.reporter.Observation", refuse)
    assert await sender.send(call()) == b"fine"


@pytest.mark.parametrize("error", [RuntimeError("ada@example.com"), asyncio.CancelledError("ada")])
@virtual
async def test_a_hook_that_raises_loses_nothing_and_is_logged(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def bad(_: CallEvent) -> None:
        raise error

    heard: list[CallEvent] = []
    sender = transport(Script(status(503), ok()), hooks=[bad, heard.append])
    with caplog.at_level(logging.WARNING):
        assert await sender.send(call()) == b"fine"
    assert len(ends(heard)) == 1
    assert f"a hook raised {type(error).__name__} at CallEnded" in caplog.text
    assert "ada" not in caplog.text
