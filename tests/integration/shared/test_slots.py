"""The limit on requests in flight that processes share through Redis."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from publitrac_async import Rate
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis.slots import RedisSlots
from tests.support.marketo import SECRET, Sent, result, serving
from tests.support.redis_server import Server


def process(server: Server, in_flight: int) -> SharedRedis:
    return SharedRedis(server.url, SECRET, rate_limit=Rate(1000), in_flight=in_flight)


# Takes over a second: with an empty Redis the first call leaves after 1.3 seconds.
async def test_gathered_batches_of_all_processes_keep_to_the_limit(server: Server) -> None:
    inside = most = 0

    async def reply(sent: Sent) -> dict[str, Any]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.05)
        inside -= 1
        return result(*({"id": 1, "status": "updated"} for _ in sent.json["input"]))

    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(3):
            shared = await stack.enter_async_context(process(server, 4))
            marketo, _service = await stack.enter_async_context(serving(reply, limiter=shared.limiter))
            clients.append(marketo)
        calls = [client.sync_leads([{"email": f"{n}@x.com"}]) for client in clients for n in range(5)]
        done = await asyncio.gather(*calls)
    assert all(results[0].ok for results in done)
    assert most == 4
    assert not any(key.endswith(":slots") for key in await server.keys())


async def test_the_slot_of_a_killed_process_becomes_free(server: Server) -> None:
    async with process(server, 1) as shared:
        slots = shared.limiter.slots
        assert isinstance(slots, RedisSlots)
        key = slots._key
        slots.give(await slots.take())
        await server.ask("ZADD", key, 9e15, "of another process")
        waiting = asyncio.create_task(slots.take())
        await asyncio.sleep(0)
        assert await server.ask("ZCARD", key) >= 1
        await server.ask("ZADD", key, 1, "of another process")
        slots.give(await waiting)


async def test_a_slot_that_is_held_outlives_the_loss_of_memory(server: Server) -> None:
    async with process(server, 1) as shared:
        slots = shared.limiter.slots
        assert isinstance(slots, RedisSlots)
        slot = await slots.take()
        await server.ask("FLUSHALL")
        await slots.renew()
        assert await server.ask("ZSCORE", slots._key, slot) is not None


async def test_a_wait_for_a_slot_that_is_cancelled_keeps_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(server, 1) as shared:
        slots = shared.limiter.slots
        assert isinstance(slots, RedisSlots)
        answered = asyncio.Event()
        run = slots._connection.run

        async def slow(*arguments: Any) -> Any:
            found = await run(*arguments)
            answered.set()
            await asyncio.sleep(0)  # Redis has given the slot, which this process does not know yet.
            return found

        monkeypatch.setattr(slots._connection, "run", slow)
        waiting = asyncio.create_task(slots.take())
        await answered.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        monkeypatch.undo()
        async with asyncio.timeout(10):
            slots.give(await slots.take())


async def test_the_slots_of_killed_processes_leave_no_key_behind(server: Server) -> None:
    async with process(server, 1) as shared:
        slots = shared.limiter.slots
        assert isinstance(slots, RedisSlots)
        await slots.take()
        assert 0 < await server.ask("PTTL", slots._key) <= 15_000
