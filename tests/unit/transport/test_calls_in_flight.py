"""The number of calls in flight at once. In virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from publitrac_async import Timeout
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.secret import Secret
from tests.support.clients import READ, call, transport
from tests.support.clock import now, virtual
from tests.support.script import Always, Script, ok


@pytest.mark.parametrize("concurrency", [1, 2, 32])
@virtual
async def test_never_more_in_flight_than_allowed(concurrency: int) -> None:
    in_flight = most = 0
    order: list[int] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        order.append(int(request.content))
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.1)
        in_flight -= 1
        return ok()

    pipeline = transport(handler, concurrency=concurrency)

    await asyncio.gather(*(pipeline.send(call(content=str(number).encode())) for number in range(100)))
    assert most == concurrency
    assert order == list(range(100))


@virtual
async def test_cancelled_calls_give_their_slot_back() -> None:
    script = Script([1.0, ok()])
    pipeline = transport(script, concurrency=2, timeout=Timeout(total=None))
    tasks = [asyncio.create_task(pipeline.send(call())) for _ in range(50)]
    await asyncio.sleep(0.5)
    for task in tasks[::3]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(result == b"fine" for result in results) == 50 - len(tasks[::3])
    started = now()
    await asyncio.gather(pipeline.send(call()), pipeline.send(call()))
    assert now() - started == pytest.approx(1, abs=0.01)


@virtual
async def test_a_token_request_is_possible_while_all_slots_are_taken() -> None:
    pipeline = transport(Script([0.1, ok()]), concurrency=1)

    class LogsIn(Always):
        async def authorize(self) -> Authorization:
            await pipeline.request_token(call(READ, parse=lambda _: (Secret("t", "token"), 1.0)))
            return await super().authorize()

    results = await asyncio.gather(*(pipeline.send(call(authenticator=LogsIn())) for _ in range(5)))
    assert results == [b"fine"] * 5
