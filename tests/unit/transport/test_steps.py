"""Work in steps: results and errors, inside the send loop and without it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from publitrac_async import DeadlineExceeded, Timeout, UnexpectedContent
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps, run_steps, run_steps_in_turns
from tests.support.clients import EAGER, READ, call, transport
from tests.support.clock import jump, virtual


def counting(pauses: int) -> Steps[int]:
    for _ in range(pauses):
        yield
    return pauses


@pytest.mark.parametrize("pauses", [0, 1, 5])
def test_steps_run_at_once_without_a_pause(pauses: int) -> None:
    assert run_steps(counting(pauses)) == pauses


@pytest.mark.parametrize("pauses", [0, 1, 5])
async def test_steps_run_in_turns_with_the_event_loop(pauses: int) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    assert await run_steps_in_turns(counting(pauses)) == pauses
    assert turns == pauses
    task.cancel()


async def fine(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=b"fine")


@virtual
async def test_the_result_of_steps_is_that_of_the_call() -> None:
    assert await transport(fine).send(call(READ, parse=lambda _: counting(3))) == 3


@virtual
async def test_an_error_between_steps_is_that_of_the_attempt() -> None:
    attempts = 0

    def parse(_: ServiceResponse) -> Steps[int]:
        nonlocal attempts
        attempts += 1
        yield
        if attempts < 3:
            raise UnexpectedContent("cut", retryable=True)
        return attempts

    assert await transport(fine, retry=EAGER).send(call(READ, parse=parse)) == 3


@virtual
async def test_the_deadline_holds_between_steps() -> None:
    def parse(_: ServiceResponse) -> Steps[int]:
        while True:
            jump(1)
            yield

    with pytest.raises(DeadlineExceeded) as caught:
        await transport(fine, timeout=Timeout(total=5)).send(call(READ, parse=parse))
    assert caught.value.attempts == 1
