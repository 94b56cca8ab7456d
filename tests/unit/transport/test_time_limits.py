"""Waits that count towards the deadline or the limit on the queue. In virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from publitrac_async import DeadlineExceeded, NotSent, QueueTimeout, Timeout, WindowLimiter
from publitrac_async.transport.auth import Authorization, SharedToken, Token
from publitrac_async.transport.operation import Operation
from publitrac_async.transport.secret import Secret
from tests.support.clients import APPEND, READ, UPSERT, call, transport
from tests.support.clock import now, virtual
from tests.support.script import Always, Script, ok, status


@virtual
async def test_waiting_for_the_first_permit_is_not_part_of_the_total() -> None:
    limiter = WindowLimiter(35, clock=now)
    limiter.pause(1000)
    started = now()
    pipeline = transport(Script([2.0, ok()]), limiter=limiter, timeout=Timeout(total=3))
    assert await pipeline.send(call(APPEND)) == b"fine"
    assert now() - started == pytest.approx(1002, abs=0.01)


@virtual
async def test_waiting_for_a_slot_is_not_part_of_the_total() -> None:
    script = Script([2.0, ok()])
    pipeline = transport(script, concurrency=1, timeout=Timeout(total=3))
    results = await asyncio.gather(*(pipeline.send(call(APPEND)) for _ in range(20)))
    assert results == [b"fine"] * 20


@virtual
async def test_waiting_for_the_permit_of_a_retry_is_part_of_the_total() -> None:
    limiter = WindowLimiter(35, clock=now)
    script = Script(status(503), ok())
    pipeline = transport(script, limiter=limiter, timeout=Timeout(queue=1, total=3))
    asyncio.get_running_loop().call_later(0.1, limiter.pause, 1000)
    with pytest.raises(DeadlineExceeded, match="before attempt 2 was sent"):
        await pipeline.send(call(UPSERT))
    assert len(script.seen) == 1


@virtual
async def test_the_limit_on_the_queue_covers_the_limiter() -> None:
    limiter = WindowLimiter(35, clock=now)
    limiter.pause(1000)
    script, started = Script(ok()), now()
    pipeline = transport(script, limiter=limiter, timeout=Timeout(queue=3, total=1))
    results = await asyncio.gather(*(pipeline.send(call(APPEND)) for _ in range(5)), return_exceptions=True)
    assert now() - started == pytest.approx(3, abs=0.001)
    assert pipeline.reporter.queued == pipeline.reporter.in_flight == 0
    assert sorted(error.queued for error in results) == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    for error in results:
        assert isinstance(error, QueueTimeout)
        assert isinstance(error, NotSent)
        assert error.elapsed == pytest.approx(3, abs=0.001)
        assert f"{error.queued} calls of this client wait" in str(error)
        assert "nothing was sent" in str(error)
        assert error.retryable
        assert not error.maybe_applied
    assert script.seen == []
    await asyncio.sleep(1000)
    await asyncio.wait_for(limiter.acquire(), 0.001)  # No permit is lost.


@virtual
async def test_the_limit_on_the_queue_covers_the_gate_and_leaves_calls_in_flight_alone() -> None:
    script = Script([5.0, ok()])
    pipeline = transport(script, concurrency=1, timeout=Timeout(queue=3))
    results = await asyncio.gather(*(pipeline.send(call(APPEND)) for _ in range(3)), return_exceptions=True)
    assert results[0] == b"fine"
    assert [type(result) for result in results[1:]] == [QueueTimeout] * 2
    assert len(script.seen) == 1
    assert await pipeline.send(call()) == b"fine"


@virtual
async def test_ten_thousand_calls_at_once_all_succeed_first_come_first_served() -> None:
    order: list[int] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        order.append(int(request.content))
        await asyncio.sleep(0.4)
        return ok()

    pipeline, started = transport(handler, limiter=WindowLimiter(35, clock=now)), now()
    calls = [pipeline.send(call(content=b"%d" % number)) for number in range(10_000)]
    assert await asyncio.gather(*calls) == [b"fine"] * 10_000
    assert order == list(range(10_000))
    assert now() - started == pytest.approx(10_000 / 35 * 1.05, rel=0.05)


@virtual
async def test_calls_that_wait_for_a_token_wait_in_the_queue_while_its_request_does() -> None:
    limiter = WindowLimiter(35, clock=now)
    limiter.pause(100)
    pipeline = transport(Script([1.0, ok()]), limiter=limiter, timeout=Timeout(total=3))

    async def request_token() -> Token:
        await pipeline.request_token(call(READ, parse=lambda _: (Secret("t"), 900.0)))
        return Token(value=Secret("t"), ttl=900.0, expires_at=now() + 900)

    token = SharedToken(request_token, header="Token", clock=now)
    results = await asyncio.gather(*(pipeline.send(call(authenticator=token)) for _ in range(5)))
    assert results == [b"fine"] * 5


@virtual
async def test_the_deadline_covers_the_token_request() -> None:
    class Slow(Always):
        async def authorize(self) -> Authorization:
            await asyncio.sleep(1000)
            return await super().authorize()

    script, started = Script(ok()), now()
    with pytest.raises(DeadlineExceeded) as caught:
        await transport(script, timeout=Timeout(total=3)).send(call(APPEND, authenticator=Slow()))
    assert now() - started == pytest.approx(3, abs=0.001)
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    ("operation", "maybe_applied"),
    [(READ, False), (UPSERT, True), (APPEND, True)],
    ids=lambda value: str(value)[:6],
)
@virtual
async def test_the_deadline_covers_attempts_and_waits(operation: Operation, maybe_applied: bool) -> None:
    script, started = Script([4.0, status(503)]), now()
    script.steps = [[4.0, status(503)], [1000.0, ok()]] if operation is not APPEND else [[1000.0, ok()]]
    with pytest.raises(DeadlineExceeded) as caught:
        await transport(script, timeout=Timeout(total=10)).send(call(operation))
    assert now() - started == pytest.approx(10, abs=0.001)
    assert caught.value.maybe_applied is maybe_applied
    assert caught.value.attempts == len(script.seen)
    assert caught.value.retryable


@virtual
async def test_deadlines_of_many_calls_stay_apart() -> None:
    script, started = Script([1000.0, ok()]), now()
    pipeline = transport(script, timeout=Timeout(total=10))
    ends: list[float] = []

    async def one(number: int) -> None:
        await asyncio.sleep(number)
        with pytest.raises(DeadlineExceeded):
            await pipeline.send(call())
        ends.append(now() - started)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert ends == pytest.approx([number + 10 for number in range(20)], abs=0.01)


@virtual
async def test_without_a_total_a_call_may_take_for_ever() -> None:
    script = Script([1e6, ok()])
    assert await transport(script, timeout=Timeout(total=None)).send(call()) == b"fine"


@virtual
async def test_a_callers_own_timeout_and_errors_stay_his() -> None:
    pipeline = transport(Script([1000.0, ok()]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await pipeline.send(call())

    def fails(_: object) -> None:
        raise TimeoutError("of the caller's own parse")

    with pytest.raises(TimeoutError, match="own parse"):
        await transport(Script(ok())).send(call(parse=fails))
