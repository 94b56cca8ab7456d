"""A shared limiter that is unavailable for a while. In virtual time."""

from __future__ import annotations

import asyncio

import pytest

from publitrac_async import ClientStateError, LimiterUnavailable, RetryPolicy, Timeout
from tests.support.clients import APPEND, call, transport
from tests.support.clock import now, virtual
from tests.support.script import Script, ok


class Away:
    """A limiter that cannot be asked for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.until = now() + seconds

    async def acquire(self) -> None:
        if now() < self.until:
            raise LimiterUnavailable("the limit that is shared in Redis cannot be asked", retry_after=0.5)

    def pause(self, seconds: float) -> None: ...


@virtual
async def test_a_limiter_that_is_away_is_waited_for_and_costs_no_retry() -> None:
    script = Script(ok())
    pipeline = transport(script, limiter=Away(25), retry=RetryPolicy(attempts=1, budget=0))
    results = await asyncio.gather(*(pipeline.send(call(APPEND)) for _ in range(200)))
    assert results == [b"fine"] * 200
    assert len(script.seen) == 200


@virtual
async def test_the_patience_with_a_limiter_ends_after_half_a_minute() -> None:
    script, started = Script(ok()), now()
    with pytest.raises(LimiterUnavailable, match="shared in Redis") as caught:
        await transport(script, limiter=Away(1000)).send(call(APPEND))
    assert 28 < now() - started <= 30
    assert caught.value.attempts == 1
    assert not caught.value.maybe_applied
    assert script.seen == []


@pytest.mark.parametrize("concurrency", [1, 32])
@virtual
async def test_a_limit_on_the_queue_ends_the_wait_for_a_limiter_and_names_it(concurrency: int) -> None:
    pipeline = transport(Script(ok()), limiter=Away(1000), timeout=Timeout(queue=2), concurrency=concurrency)
    started = now()
    results = await asyncio.gather(*(pipeline.send(call()) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [LimiterUnavailable] * 3
    assert now() - started == pytest.approx(2, abs=0.01)


@virtual
async def test_a_client_that_waits_for_a_limiter_can_be_closed() -> None:
    pipeline = transport(Script(ok()), limiter=Away(1000))
    task = asyncio.create_task(pipeline.send(call()))
    await asyncio.sleep(1)
    started = now()
    await pipeline.aclose()
    assert now() - started < 1
    with pytest.raises(ClientStateError):
        await task
