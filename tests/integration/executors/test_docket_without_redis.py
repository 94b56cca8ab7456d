"""A worker that is asked to end while Redis is away. In virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from publitrac_async.bulk import StateStoreError
from publitrac_async.bulk.distributed.docket import _wait_for_end
from tests.support.clock import now, virtual


class _State:
    """A state store; Redis is away until a time."""

    def __init__(self, away: float = 0.0) -> None:
        self._until = now() + away

    async def is_current(self, job: str) -> bool:
        if now() < self._until:
            await asyncio.sleep(30)
            if now() < self._until:
                raise StateStoreError("Redis does not respond", retryable=True)
        return bool(job)


async def _stubborn(seconds: float) -> None:
    """Wait for Redis, as docket and the end of a chunk do, after the first cancellation."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        await asyncio.sleep(seconds)


async def _time_to_end(state: Any, seconds: float) -> float:
    running, chunk = (asyncio.create_task(_stubborn(seconds)) for _ in range(2))
    await asyncio.sleep(0)
    begun = now()
    running.cancel()
    await _wait_for_end(running, {chunk}, state)
    elapsed = now() - begun
    while not chunk.done():
        chunk.cancel()
        await asyncio.sleep(0)
    return elapsed


@virtual
async def test_calls_may_take_their_time_while_redis_responds() -> None:
    assert 120 <= await _time_to_end(_State(), 120) < 125


@virtual
async def test_redis_may_return_in_time() -> None:
    assert 50 <= await _time_to_end(_State(away=20), 50) < 55


@virtual
async def test_without_redis_a_worker_gives_up_after_half_a_minute() -> None:
    assert 30 <= await _time_to_end(_State(away=3600), 3600) < 40
