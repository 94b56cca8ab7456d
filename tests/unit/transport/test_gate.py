"""The concurrency gate: narrower when the service is overloaded, wide again later."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from publitrac_async.transport.concurrency import ConcurrencyGate
from tests.support.clock import run_virtual


@contextlib.asynccontextmanager
async def slot(gate: ConcurrencyGate) -> AsyncIterator[None]:
    await gate.enter()
    try:
        yield
    finally:
        gate.leave()


async def test_a_narrowed_gate_keeps_the_next_slot() -> None:
    gate = ConcurrencyGate(2)
    async with slot(gate), slot(gate):
        gate.narrow()
        assert gate.width == 1
    async with slot(gate):
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.widen()
        await asyncio.sleep(0)
        assert waiting.done()
        gate.leave()


async def test_one_call_may_always_be_in_flight() -> None:
    gate = ConcurrencyGate(3)
    for _ in range(10):
        gate.narrow()
    assert gate.width == 1
    for _ in range(10):
        gate.widen()
    assert gate.width == 3


@given(st.integers(1, 6), st.lists(st.sampled_from(["narrow", "widen", "work"]), max_size=60))
def test_the_gate_never_lets_more_through_than_its_width_and_loses_no_slot(
    calls: int, steps: list[str]
) -> None:
    async def main() -> None:
        gate = ConcurrencyGate(calls)
        inside = most = 0

        async def work() -> None:
            nonlocal inside, most
            async with slot(gate):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(1)
                inside -= 1

        workers = [asyncio.create_task(work()) for _ in range(3 * calls)]
        for step in steps:
            if step == "work":
                await asyncio.sleep(1)
            else:
                async with slot(gate):  # Only calls in flight get such responses.
                    getattr(gate, step)()
        await asyncio.gather(*workers)
        most = 0
        await asyncio.gather(*(work() for _ in range(2 * calls)))
        assert most == gate.width
        for _ in range(calls):
            gate.widen()
        most = 0
        await asyncio.gather(*(work() for _ in range(2 * calls)))
        assert most == calls

    run_virtual(main())
