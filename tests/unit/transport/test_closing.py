"""A client that is closed, or used in another event loop or process. In virtual time."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from publitrac_async import ClientStateError, Timeout, WindowLimiter
from publitrac_async.transport.auth import Authorization
from publitrac_async.transport.operation import Operation
from tests.support.clients import APPEND, READ, UPSERT, call, transport
from tests.support.clock import now, virtual
from tests.support.script import Always, Script, ok, status


@virtual
async def test_calls_in_flight_have_a_moment_to_end() -> None:
    pipeline = transport(Script([0.3, ok()]))
    task = asyncio.create_task(pipeline.send(call()))
    await asyncio.sleep(0.01)
    await pipeline.aclose()
    assert await task == b"fine"


@virtual
async def test_closing_an_idle_client_is_prompt_and_can_be_repeated() -> None:
    pipeline = transport(Script(ok()))
    await pipeline.send(call())
    started = now()
    await asyncio.gather(pipeline.aclose(), pipeline.aclose())
    await pipeline.aclose()
    assert now() - started < 0.05
    with pytest.raises(ClientStateError, match="closed"):
        await pipeline.send(call())


@pytest.mark.parametrize("where", ["response", "backoff", "limiter", "gate", "token request"])
@pytest.mark.parametrize("operation", [READ, UPSERT, APPEND], ids=lambda operation: operation.name)
@virtual
async def test_whatever_a_call_waits_for_it_ends_when_the_client_closes(
    where: str, operation: Operation
) -> None:
    class Slow(Always):
        async def authorize(self) -> Authorization:
            await asyncio.sleep(1000)
            return await super().authorize()

    script = Script(status(503, retry_after="50") if where == "backoff" else [1000.0, ok()])
    limiter = WindowLimiter(35, clock=now)
    if where == "limiter":
        limiter.pause(1000)
    options = {"concurrency": 1 if where == "gate" else 8, "limiter": limiter, "timeout": Timeout(total=None)}
    pipeline = transport(script, **options)
    authenticator = Slow() if where == "token request" else None
    if where == "backoff" and operation is APPEND:
        script.steps = [status(429, retry_after="50")]
    first = [asyncio.create_task(pipeline.send(call(READ)))] if where == "gate" else []
    task = asyncio.create_task(pipeline.send(call(operation, authenticator=authenticator)))
    await asyncio.sleep(0.2)
    started = now()
    await pipeline.aclose()
    assert now() - started <= 1
    done, _ = await asyncio.wait([task, *first], timeout=0.01)
    assert task in done, "still waiting after the client was closed"
    error = task.exception()
    assert type(error) is ClientStateError
    assert error.operation == operation.name
    may_have_left = where == "response" or (where == "backoff" and operation is UPSERT)
    assert error.maybe_applied is (may_have_left and operation is not READ)
    for other in first:
        assert isinstance(other.exception(), ClientStateError)


@virtual
async def test_a_pending_retry_ends_at_once_when_the_client_closes() -> None:
    pipeline = transport(Script(status(503, retry_after="50")), timeout=Timeout(total=None))
    task = asyncio.create_task(pipeline.send(call()))
    await asyncio.sleep(1)
    started = now()
    await pipeline.aclose()
    assert now() - started < 0.1
    with pytest.raises(ClientStateError):
        await task


@virtual
async def test_a_caller_that_is_cancelled_at_the_close_stays_cancelled() -> None:
    pipeline = transport(Script([1000.0, ok()]))
    task = asyncio.create_task(pipeline.send(call()))
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(pipeline.aclose())
    await asyncio.sleep(0.1)
    task.cancel()
    await closing
    assert task.cancelled()


def test_a_client_belongs_to_one_event_loop() -> None:
    pipeline = transport(Script(ok()), clock=lambda: 0.0, draw=lambda: 0.0, limiter=WindowLimiter(35))
    assert asyncio.run(_send(pipeline)) == b"fine"
    with pytest.raises(ClientStateError, match="another event loop"):
        asyncio.run(_send(pipeline))


async def _send(pipeline: Any) -> Any:
    return await pipeline.send(call())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@virtual
async def test_a_client_belongs_to_one_process() -> None:
    pipeline = transport(Script(ok()), clock=time.monotonic)  # No loop runs in the child.
    await pipeline.send(call())
    child = os.fork()
    if child == 0:  # pragma: no cover  (not measured: the child exits immediately)
        outcomes = []
        for use in (pipeline.send(call()), pipeline.aclose()):
            try:
                use.send(None)
            except ClientStateError:
                outcomes.append(True)
            except BaseException:  # noqa: BLE001  (a StopIteration is a wrong outcome like any other)
                outcomes.append(False)
        os._exit(0 if outcomes == [True, True] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert await pipeline.send(call()) == b"fine"
