"""Effects of an outage of Redis on a run, with and without a disk."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.state.base import Entry
from publitrac_async.bulk.state.redis.store import RedisStateStore
from tests.support.canaries import Canaries, Transcript
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.redis_stores import ADA, BEN, FIRST, OK, Stores, job, job_of, known, state


@pytest.mark.fault("F34")
async def test_a_run_outlives_a_restart_of_redis(keeping: Stores, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    opener = await job(keeping, *(f"{number}@example.test" for number in range(200)))
    chunk = await keeping().claim(job_of(opener), 1)
    assert chunk is not None
    completed = 0

    async def send(worker: int) -> None:
        nonlocal completed
        for number in range(worker, 200, 8):
            key = f"{number}@example.test"
            assert await chunk.begin([key]) is True
            await asyncio.sleep(0.01)
            await chunk.complete([(key, OK)])
            completed += 1

    async with chunk:
        sending = [asyncio.create_task(send(worker)) for worker in range(8)]
        while completed < 50:
            await asyncio.sleep(0.01)
        await keeping.server.restart()
        await asyncio.gather(*sending)
        assert await chunk.end()
    entries = await opener.lookup([f"{number}@example.test" for number in range(200)])
    assert {entry and entry.outcome for entry in entries} == {OK}
    assert [each.number for each in await opener.results(0)] == [1]
    assert str(keeping.server.port) not in caplog.text
    assert "example.test" not in caplog.text


async def test_leases_are_renewed_after_an_outage(keeping: Stores) -> None:
    opener = await keeping.opened(run="one", lease=0.6)
    chunk = await keeping(lease=0.6).claim(job_of(opener), 1)
    assert chunk is not None

    async def ends() -> list[float]:
        (member,) = await keeping.server.ask("ZRANGE", keeping.key("running"), 0, -1)
        until = await keeping.server.ask("HGET", keeping.key("lease"), "until")
        return [float(until), float(await keeping.server.ask("ZSCORE", keeping.key("running"), member))]

    await asyncio.to_thread(keeping.server.stop)
    while opener._connection.outages == 0 or chunk._lease._task.done():
        await asyncio.sleep(0.01)
    await asyncio.to_thread(keeping.server.start)
    before = await ends()
    while any(now <= then for now, then in zip(await ends(), before, strict=True)):
        await asyncio.sleep(0.01)
    await chunk.aclose()


async def test_an_outcome_waits_for_redis_and_its_waiter_need_not(keeping: Stores) -> None:
    store = await job(keeping, ADA)
    await store.begin([ADA])
    await asyncio.to_thread(keeping.server.stop)
    outcome = store.complete([(ADA, OK)])
    waiter = asyncio.create_task(asyncio.wait_for(outcome, 0.05))
    with pytest.raises(TimeoutError):
        await waiter
    await asyncio.to_thread(keeping.server.start)
    await store.aclose()
    assert await known(await keeping.opened(run="one")) == Entry(OK, FIRST, FIRST)


async def test_without_redis_a_run_ends_with_advice(server: Server) -> None:
    canaries = Canaries()
    store = OwnRedisState(server.url, account=canaries.api_key, timeout=0.3)
    key = canaries.email.casefold()
    await store.open("here")
    with Transcript().recording() as transcript:
        await store.plan([(key, FIRST)])
        await asyncio.to_thread(server.stop)
        notes = store.begin([key]), store.complete([(key, OK)])
        for question in (*notes, store.lookup([key]), store.unknown_rows(), store.claim("job", 1)):
            with pytest.raises(StateStoreError, match="check its URL, and that Redis runs") as caught:
                await question
            assert caught.value.retryable
            transcript.add_error(caught.value)
        await store.aclose()
        with pytest.raises(StateStoreError, match="check its URL, and that Redis runs"):
            await OwnRedisState(server.url, account="the-key", timeout=3600).open("here")
    transcript.check(canaries)
    assert str(server.port) not in "".join(transcript.credentials)


async def test_a_redis_that_refuses_the_password_is_not_waited_for_at_the_start(server: Server) -> None:
    canaries, transcript = Canaries(), Transcript()

    def make() -> RedisStateStore:
        user, password = quote(canaries.username, safe=""), quote(canaries.password, safe="")
        return OwnRedisState(server.url.replace("//", f"//{user}:{password}@"), account=canaries.api_key)

    store = make()
    with pytest.raises(ConfigurationError, match="refuses the user or password") as caught:
        await store.open("here")
    transcript.add_error(caught.value)
    transcript.check(canaries)
    await store.aclose()


async def test_a_stalled_redis_is_waited_for_no_longer_than_its_response_may_take(
    stores: Stores, server: Server
) -> None:
    store = await stores.opened(timeout=0.0)
    stall = asyncio.create_task(server.stall(2.5))
    await asyncio.sleep(0.2)
    with pytest.raises(StateStoreError, match="TimeoutError"):
        await store.lookup([ADA])
    await stall


async def test_lost_scripts_are_loaded_again(stores: Stores, server: Server) -> None:
    store = await stores.opened()
    await store.plan([(ADA, FIRST)])
    await server.forget_scripts()
    assert await store.begin([ADA]) is True
    await server.forget_scripts()
    await server.cut_connections()
    await store.complete([(ADA, OK)])
    assert await state(store) is State.OK


async def test_a_redis_that_forgot_everything_ends_the_run(stores: Stores, server: Server) -> None:
    opener = await job(stores, ADA)
    chunk = await stores().claim(job_of(opener), 1)
    assert chunk is not None
    await server.restart()
    with pytest.raises(StateStoreError, match="Redis lost its data"):
        await opener.begin([ADA])
    assert await chunk.begin([ADA]) is False
    with pytest.raises(StateStoreError, match="Redis lost its data"):
        await chunk.complete([(ADA, OK)])
    await chunk.aclose()


async def test_durable_is_refused_where_redis_is_not(stores: Stores) -> None:
    for use in (stores(durable=True).open("here"), stores(durable=True).claim("job", 1)):
        with pytest.raises(StateStoreError, match="set appendonly yes"):
            await use


async def test_a_durable_intent_waits_for_the_disk(keeping: Stores) -> None:
    store = await keeping.opened(durable=True)
    await store.plan([(ADA, FIRST), (BEN, FIRST)])
    assert await store.begin([ADA]) is True
    # A server that does not persist its data never confirms a write to disk.
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    # Writes of other connections do not count for one that has just been opened, either.
    await keeping.server.cut_connections()
    intent = store.begin([BEN])
    while await state(store, BEN) is not State.SENDING:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert not intent.done()
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "always")
    assert await intent is True
    await store.complete([(ADA, OK), (BEN, OK)])


async def test_a_durable_intent_does_not_pass_for_written_when_time_is_up(keeping: Stores) -> None:
    url = f"{keeping.server.url}?socket_timeout=1"
    store = OwnRedisState(url, account="the-key", durable=True, timeout=0.0)
    await store.open("here")
    await store.plan([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    with pytest.raises(StateStoreError, match="NotOnDisk"):
        await store.begin([ADA])
    await store.aclose()


async def test_a_write_does_not_wait_for_a_disk_that_is_not_synced(keeping: Stores) -> None:
    store = await keeping.opened()
    await store.plan([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendfsync", "no")
    assert await asyncio.wait_for(store.begin([ADA]), 3) is True


async def test_a_durable_state_store_whose_disk_fails_ends_the_run(keeping: Stores) -> None:
    store = await keeping.opened(durable=True, timeout=0.0)
    await store.plan([(ADA, FIRST)])
    await keeping.server.ask("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(StateStoreError, match="memory and disk"):
        await store.begin([ADA])
