"""Cancelled calls leave the pool, the gate and the token intact."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ClientStateError, Lead, PublitracClient, PublitracError
from tests.support.cancel import Moment, cancel_at
from tests.support.clients import client, connector, lead, opened
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer, Seen


async def first_page(publitrac: PublitracClient) -> object:
    return await publitrac.v1.get_leads()


METHODS: dict[str, Callable[[PublitracClient], Awaitable[Any]]] = {
    "delayed_sync": lambda publitrac: publitrac.v2.delayed_sync(lead()),
    "get_token": lambda publitrac: publitrac.v2.get_token(),
    "get_lead": lambda publitrac: publitrac.v1.get_lead("a@example.com"),
    "sync_lead": lambda publitrac: publitrac.v1.sync_lead(lead()),
    "get_leads": first_page,
}


class Yields:
    """A limiter that suspends every caller."""

    async def acquire(self) -> None:
        await asyncio.sleep(0)

    def pause(self, seconds: float) -> None: ...


async def twenty(publitrac: PublitracClient) -> None:
    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(publitrac.v2.delayed_sync(lead(number)) for number in range(10)),
            *(publitrac.v1.get_lead(f"a{number}@example.com") for number in range(10)),
        )
    assert [result.status for result in results[:10]] == ["success"] * 10
    assert [result.email for result in results[10:]] == [f"a{number}@example.com" for number in range(10)]


@pytest.mark.parametrize("moment", ["pending", "late"])
@pytest.mark.parametrize("state", ["new", "warm", "expired"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.fault("F31")
async def test_cancelled_at_every_suspension(method: str, state: str, moment: Moment) -> None:
    vendor, slowly = Vendor(chunked=10), False

    async def respond(seen: Seen, peer: Peer) -> bytes:
        response = await vendor(seen, peer)
        if slowly:  # Head and body arrive apart, so that both are waited for.
            for start in range(0, 150, 30):
                await peer.write(response[start : start + 30])
                await asyncio.sleep(0.001)
            return response[150:]
        return response

    async with RawServer(respond) as server:
        at = 0
        while True:
            async with opened(server.url, concurrency=2, limiter=Yields()) as publitrac:
                if state != "new":
                    await twenty(publitrac)
                if state == "expired":
                    vendor.expire()
                slowly = True
                coroutine = METHODS[method](publitrac)
                hit = await cancel_at(coroutine, at, moment)  # type: ignore[arg-type]
                slowly = False
                await twenty(publitrac)
                assert not connector(publitrac)._acquired
                assert publitrac._transport.gate.in_flight == 0
            if not hit:
                break
            at += 1
    # A call does not wait for a token that exists, and waits for a token request in one place.
    assert at >= (1 if method == "get_token" and state == "new" else 0 if method == "get_token" else 4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.fault("F09", "F32")
async def test_a_storm_of_cancellations(seed: int) -> None:
    draw = random.Random(seed)
    vendor = Vendor()

    async def jittery(seen: Seen, peer: Peer) -> bytes:
        await asyncio.sleep(draw.random() * 0.004)
        return await vendor(seen, peer)

    async with RawServer(jittery) as server, opened(server.url, concurrency=10) as publitrac:
        for _ in range(20):
            tasks = [
                asyncio.create_task(
                    publitrac.v2.delayed_sync(lead(number))
                    if number % 2
                    else publitrac.v1.get_lead("a@example.com")  # type: ignore[arg-type]
                )
                for number in range(20)
            ]
            for _ in range(draw.randrange(12)):
                await asyncio.sleep(0)
            await asyncio.sleep(draw.random() * 0.004)
            for task in tasks:
                if draw.random() < 0.8:
                    task.cancel()
            await asyncio.wait(tasks)
            assert not [task for task in tasks if not task.cancelled() and task.exception()]
        await twenty(publitrac)


@pytest.mark.fault("F32")
async def test_a_task_group_that_fails_takes_its_calls_down_cleanly() -> None:
    vendor = Vendor()

    async def slow(seen: Seen, peer: Peer) -> bytes:
        await asyncio.sleep(0.02)
        return await vendor(seen, peer)

    async def fails() -> None:
        await asyncio.sleep(0.03)
        raise RuntimeError("the caller's own")

    async with RawServer(slow) as server, opened(server.url, concurrency=4) as publitrac:
        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  (the group is the statement)
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(publitrac.v2.delayed_sync(lead(number)))
                group.create_task(fails())
        assert [type(error) for error in caught.value.exceptions] == [RuntimeError]
        await twenty(publitrac)


async def test_a_callers_timeout_leaves_the_pool_intact() -> None:
    vendor, slow = Vendor(), True

    async def respond(seen: Seen, peer: Peer) -> bytes:
        if slow:
            await asyncio.sleep(5)
        return await vendor(seen, peer)

    async with RawServer(respond) as server, opened(server.url, concurrency=2) as publitrac:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await publitrac.v1.get_lead("a@example.com")
        slow = False
        await twenty(publitrac)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def lowered(measure: Callable[[], int], at_most: int) -> int:
    for _ in range(100):
        if measure() <= at_most:
            break
        await asyncio.sleep(0.01)
    return measure()


async def test_nothing_is_left_after_closing() -> None:
    async with RawServer(Vendor()) as server:
        async with opened(server.url) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
        await lowered(lambda: len(server._tasks), 0)
        gc.collect()
        files, tasks, threads = open_files(), len(asyncio.all_tasks()), set(threading.enumerate())
        for _ in range(20):
            publitrac = client(server.url, concurrency=8)
            await twenty(publitrac)
            cancelled = asyncio.create_task(publitrac.v1.get_lead("a@example.com"))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            await publitrac.aclose()
            await publitrac.aclose()
        assert await lowered(open_files, files) <= files
        assert await lowered(lambda: len(asyncio.all_tasks()), tasks) <= tasks
        assert set(threading.enumerate()) <= threads


async def test_closing_ends_calls_that_wait_for_a_silent_server() -> None:
    async def silent(seen: Seen, peer: Peer) -> None:
        await asyncio.sleep(60)

    async with RawServer(silent) as server:
        publitrac = client(server.url)
        calls = [
            asyncio.create_task(publitrac.v1.call("addLead", xml="<request/>")),
            asyncio.create_task(publitrac.v2.delayed_sync(lead())),
        ]
        while len(server.seen) < 2:  # Whatever the machine does, both have been sent.
            await asyncio.sleep(0.001)
        started = asyncio.get_running_loop().time()
        await publitrac.aclose()
        assert asyncio.get_running_loop().time() - started < 2
        write, queue = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(write, ClientStateError)
        assert write.maybe_applied
        assert isinstance(queue, ClientStateError)
        assert not queue.maybe_applied
        with pytest.raises(ClientStateError, match="closed"):
            await publitrac.v1.get_lead("a@example.com")
        with pytest.raises(ClientStateError, match="closed"):
            await publitrac.v2.delayed_sync(lead())


@pytest.mark.fault("F33")
def test_a_client_used_in_a_second_loop_raises_an_error() -> None:
    async def use(publitrac: PublitracClient) -> Lead:
        async with RawServer(Vendor()) as server:
            publitrac._transport._wire._base = server.url  # type: ignore[attr-defined]
            return await publitrac.v1.get_lead("a@example.com")

    async def close(publitrac: PublitracClient) -> None:
        await publitrac.aclose()

    publitrac = client("http://127.0.0.1:1")
    with asyncio.Runner() as first:
        assert first.run(use(publitrac)).email == "a@example.com"
        with asyncio.Runner() as second:
            for misuse in (use, close):
                with pytest.raises(ClientStateError, match="another event loop"):
                    second.run(misuse(publitrac))
        first.run(close(publitrac))


@pytest.mark.fault("F16")
async def test_256_in_flight_while_all_tokens_expire() -> None:
    vendor = Vendor()
    waiting = 0
    everybody = asyncio.Event()

    async def together(seen: Seen, peer: Peer) -> bytes:
        nonlocal waiting
        if "delayedSync" in seen.target and not everybody.is_set() and vendor.token_requests:
            waiting += 1
            if waiting == 256:
                vendor.expire()
                everybody.set()
            await everybody.wait()
        return await vendor(seen, peer)

    async with RawServer(together) as server, opened(server.url, concurrency=256) as publitrac:
        await publitrac.v2.get_token()
        results = await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(256)))
        assert len(results) == 256
        assert len(server.calls("getToken")) == 2, "one to begin with, one for all"
        assert len(server.calls("delayedSync")) == 512
        assert len(vendor.applied) == len(set(vendor.applied)) == 256


async def test_failures_between_cancellations_stay_typed() -> None:
    vendor = Vendor()
    draw = random.Random(5)

    async def moody(seen: Seen, peer: Peer) -> bytes | None:
        fate = draw.random()
        if fate < 0.1:
            peer.reset()
            return None
        if fate < 0.2:
            peer.close()
            return None
        if fate < 0.25:
            vendor.expire()
        return await vendor(seen, peer)

    async with RawServer(moody) as server, opened(server.url, concurrency=8) as publitrac:
        for _ in range(10):
            tasks = [asyncio.create_task(publitrac.v2.delayed_sync(lead(number))) for number in range(32)]
            await asyncio.sleep(draw.random() * 0.02)
            for task in tasks[::5]:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert not isinstance(result, Exception) or isinstance(result, PublitracError)
        server.respond = vendor
        await twenty(publitrac)
