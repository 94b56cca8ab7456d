"""The send loop: attempts, retries, authentication. In virtual time, without sockets."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from publitrac_async import (
    AuthenticationError,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    RateLimited,
    RetryPolicy,
    ServerError,
    Timeout,
    UnexpectedContent,
    ValidationError,
    WindowLimiter,
)
from publitrac_async.config import MAX_RETRY_AFTER
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.operation import Operation
from tests.support.clients import APPEND, EAGER, READ, UPSERT, call, transport
from tests.support.clock import now, virtual
from tests.support.script import LOST, REFUSED, SILENT, Always, Script, Step, ok, status


@pytest.mark.parametrize("operation", [READ, UPSERT, APPEND], ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    ("fault", "kind", "sent", "maybe_applied"),
    [
        (REFUSED, NotSent, (4, 4, 4), (False, False, False)),
        (httpx.ConnectTimeout("x"), NotSent, (4, 4, 4), (False, False, False)),
        (httpx.PoolTimeout("x"), NotSent, (4, 4, 4), (False, False, False)),
        (httpx.ProxyError("x"), NotSent, (4, 4, 4), (False, False, False)),
        (LOST, OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (httpx.WriteError("x"), OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (SILENT, OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (httpx.WriteTimeout("x"), OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (httpx.RemoteProtocolError("x"), OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (ConnectionResetError(104, "x"), OutcomeUnknown, (4, 4, 1), (False, True, True)),
        (status(500), ServerError, (4, 4, 1), (False, True, True)),
        (status(501), ServerError, (1, 1, 1), (False, True, True)),
        (status(503), ServerError, (4, 4, 1), (False, True, True)),
        (status(408), ServerError, (4, 4, 1), (False, True, True)),
        (status(429), RateLimited, (4, 4, 4), (False, False, False)),
        (status(400), ValidationError, (1, 1, 1), (False, False, False)),
        (status(401), AuthenticationError, (1, 1, 1), (False, False, False)),
        (status(307), UnexpectedContent, (1, 1, 1), (False, True, True)),
    ],
    ids=lambda value: str(getattr(value, "status_code", "")) or type(value).__name__,
)
@virtual
async def test_every_fault_by_class_of_operation(
    fault: Step,
    kind: type[PublitracError],
    sent: tuple[int, ...],
    maybe_applied: tuple[bool, ...],
    operation: Operation,
) -> None:
    row = [READ, UPSERT, APPEND].index(operation)
    script = Script(fault)
    with pytest.raises(PublitracError) as caught:
        await transport(script).send(call(operation))
    error = caught.value
    assert type(error) is kind
    assert len(script.seen) == sent[row] == error.attempts
    assert error.maybe_applied is maybe_applied[row]
    assert error.operation == operation.name
    assert error.status == (fault.status_code if isinstance(fault, httpx.Response) else None)
    assert error.__cause__ is error.__context__ is None
    assert "ada@example.com" not in str(error)


def cut(_: object) -> None:
    raise UnexpectedContent("cut", retryable=True)


@pytest.mark.parametrize(("operation", "sent"), [(READ, 4), (UPSERT, 4), (APPEND, 1)])
@virtual
async def test_an_append_whose_response_is_unreadable_is_not_sent_again(
    operation: Operation, sent: int
) -> None:
    script = Script(ok())
    with pytest.raises(UnexpectedContent) as caught:
        await transport(script).send(call(operation, parse=cut))
    assert len(script.seen) == sent
    assert caught.value.maybe_applied is (operation is not READ)


@pytest.mark.parametrize("body", [b"\x1f\x8b cut", b"plain"])
@virtual
async def test_an_append_whose_response_does_not_unpack_is_not_sent_again(body: bytes) -> None:
    script = Script(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body)))

    async def handler(request: httpx.Request) -> httpx.Response:
        script.seen.append(request)
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))

    with pytest.raises(UnexpectedContent) as caught:
        await transport(handler).send(call(APPEND))
    assert len(script.seen) == 1
    assert caught.value.maybe_applied


@virtual
async def test_effects_of_an_earlier_attempt_are_not_forgotten() -> None:
    script = Script(LOST, status(400))
    with pytest.raises(ValidationError) as caught:
        await transport(script).send(call())
    assert caught.value.maybe_applied
    script = Script(LOST, REFUSED)
    with pytest.raises(NotSent) as refused:
        await transport(script).send(call())
    assert refused.value.maybe_applied


@virtual
async def test_effects_of_an_earlier_attempt_are_not_forgotten_when_the_token_request_fails() -> None:
    class LosesHeart:
        reauthenticate_on = (AuthenticationError,)
        asked = 0

        async def authorize(self) -> Authorization:
            self.asked += 1
            if self.asked > 1:
                raise NotSent("no token request", operation="getToken")
            return Authorization()

        async def accepted(self, authorization: Authorization, sent_at: float) -> None: ...

        async def rejected(self, authorization: Authorization) -> None: ...

    with pytest.raises(NotSent) as caught:
        await transport(Script(LOST)).send(call(authenticator=LosesHeart()))
    assert caught.value.maybe_applied
    assert caught.value.operation == "getToken"


@virtual
async def test_a_call_recovers_and_the_waits_are_the_table() -> None:
    script = Script(REFUSED, status(500), LOST, ok())
    started = now()
    assert await transport(script).send(call()) == b"fine"
    assert script.times == pytest.approx(
        [started, started + 0.125, started + 0.375, started + 0.875], abs=1e-3
    )


@virtual
async def test_retry_after_is_waited_for() -> None:
    script = Script(status(503, retry_after="7"), status(429, retry_after="1.5"), ok())
    started = now()
    await transport(script).send(call())
    assert script.times == pytest.approx([started, started + 7, started + 8.5], abs=1e-3)


@pytest.mark.parametrize(("asked", "total"), [("61", 300.0), ("29", 20.0)])
@virtual
async def test_a_retry_after_too_long_or_past_the_deadline_ends_the_call(asked: str, total: float) -> None:
    script = Script(status(429, retry_after=asked))
    started = now()
    with pytest.raises(RateLimited) as caught:
        await transport(script, timeout=Timeout(total=total)).send(call())
    assert caught.value.retry_after == float(asked)
    assert len(script.seen) == 1
    assert now() - started < 0.1


@virtual
async def test_throttling_holds_back_all_other_calls_too() -> None:
    script = Script(status(429, retry_after="10"), ok())
    pipeline = transport(script)
    started = now()
    await asyncio.gather(pipeline.send(call()), *(_later(1, pipeline.send, call()) for _ in range(5)))
    assert min(script.times[1:]) >= started + 10


@virtual
async def test_a_retry_after_too_long_holds_other_calls_back_for_the_maximum_only() -> None:
    script = Script(status(429, retry_after="1000"), ok())
    pipeline = transport(script, timeout=Timeout(total=300))
    with pytest.raises(RateLimited):
        await pipeline.send(call())
    await pipeline.send(call())
    assert script.times[1] - script.times[0] == pytest.approx(MAX_RETRY_AFTER, abs=0.1)


async def _later(seconds: float, action: Callable[..., Any], *arguments: Any) -> Any:
    await asyncio.sleep(seconds)
    return await action(*arguments)


@virtual
async def test_one_attempt_means_one_request() -> None:
    for fault in (REFUSED, LOST, status(503)):
        script = Script(fault)
        with pytest.raises(PublitracError):
            await transport(script, retry=RetryPolicy(attempts=1)).send(call())
        assert len(script.seen) == 1


@virtual
async def test_an_outage_of_1000_calls_adds_at_most_35_retries() -> None:
    script = Script(status(503))
    pipeline = transport(script, draw=random.Random(7).random)
    results = await asyncio.gather(*(pipeline.send(call()) for _ in range(1000)), return_exceptions=True)
    assert all(isinstance(result, ServerError) for result in results)
    assert len(script.seen) <= 1035


@virtual
async def test_after_an_outage_successes_fill_the_budget_again() -> None:
    script = Script(status(503))
    pipeline = transport(script)
    await asyncio.gather(*(pipeline.send(call()) for _ in range(100)), return_exceptions=True)
    script.steps = [ok()]
    for _ in range(14):
        await pipeline.send(call())
    script.steps = [status(503), ok()]
    assert await pipeline.send(call()) == b"fine"
    for _ in range(100):  # A retry that succeeds returns its share of the budget.
        script.steps = [status(503), ok()]
        assert await pipeline.send(call()) == b"fine"


@pytest.mark.parametrize("attempts", [1, 4, 8])
@pytest.mark.parametrize("operation", [READ, UPSERT, APPEND], ids=lambda operation: operation.name)
@virtual
async def test_always_401_means_one_refresh_and_one_replay(operation: Operation, attempts: int) -> None:
    script, authenticator = Script(status(401)), Always()
    pipeline = transport(script, retry=RetryPolicy(attempts=attempts))
    with pytest.raises(AuthenticationError) as caught:
        await pipeline.send(call(operation, authenticator=authenticator))
    assert len(script.seen) == authenticator.issued == 2
    assert [request.headers["Token"] for request in script.seen] == ["t1", "t2"]
    assert caught.value.attempts == 2
    assert authenticator.accepted_at == []


@virtual
async def test_a_401_after_a_retry_is_still_replayed_only_once() -> None:
    script, authenticator = Script(status(503), status(401), status(503), status(401)), Always()
    with pytest.raises(AuthenticationError):
        await transport(script).send(call(authenticator=authenticator))
    assert len(script.seen) == 4


@virtual
async def test_a_success_is_reported_with_the_moment_its_request_left() -> None:
    script, authenticator = Script([5.0, ok()]), Always()
    await transport(script).send(call(authenticator=authenticator))
    assert authenticator.accepted_at == script.times


@virtual
async def test_logs_tell_operations_and_no_data(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await transport(Script(status(503), ok())).send(call(query=(("email", "ada@example.com"),)))
    assert "upsert" in caplog.text
    assert "ada" not in caplog.text
    assert "vendor.test" not in caplog.text


@virtual
async def test_text_that_cannot_be_written_is_a_typed_error_that_shows_nothing() -> None:
    authenticator = Always()
    for options in (
        {"query": (("email", "ada\ud800@example.com"),)},
        {"form": (("query", "ada\ud800@example.com"),)},
    ):
        script = Script(ok())
        with pytest.raises(ValidationError) as caught:
            await transport(script).send(call(READ, authenticator=authenticator, **options))
        assert script.seen == []
        assert "ada" not in str(caught.value)
        assert caught.value.__context__ is None
        assert not caught.value.retryable


@virtual
async def test_retries_never_outrun_the_limiter() -> None:
    script = Script(status(503))
    pipeline = transport(
        script, limiter=WindowLimiter(35, clock=now), retry=EAGER, timeout=Timeout(total=None)
    )
    await asyncio.gather(*(pipeline.send(call()) for _ in range(100)), return_exceptions=True)
    assert len(script.times) == 400
    assert all(
        later - earlier >= 1.05 for earlier, later in zip(script.times, script.times[35:], strict=False)
    )
