"""The shared limiter against a real server, in one process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async import LimiterUnavailable, NotSent, Rate
from publitrac_async.shared import SharedRedis
from publitrac_async.shared.redis import limiter as limiter_module
from publitrac_async.shared.redis.connection import Connection
from publitrac_async.shared.redis.limiter import RedisRateLimiter
from tests.support.many_hosts import FakeRedis
from tests.support.redis_server import Server

from .test_processes import busiest_second


class Limiters:
    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: list[SharedRedis] = []

    def __call__(self, **options: Any) -> RedisRateLimiter:
        self._opened.append(SharedRedis(self._url, **{"account": "the-key"} | options))
        return self._opened[-1].limiter

    async def aclose(self) -> None:
        for shared in self._opened:
            await shared.aclose()


@pytest.fixture
async def limiters(server: Server) -> AsyncIterator[Limiters]:
    limiters = Limiters(server.url)
    yield limiters
    await limiters.aclose()


async def permits(limiter: RedisRateLimiter, number: int) -> list[float]:
    times = []
    for _ in range(number):
        await limiter.acquire()
        times.append(time.monotonic())
    return times


async def rate_key(server: Server) -> str:
    (key,) = [key for key in await server.keys() if key.endswith(":rate")]
    return key


async def server_id(connection: Connection) -> str:
    return str((await connection.facts())["run_id"])


async def test_two_limiters_share_one_limit(limiters: Limiters) -> None:
    times = await asyncio.gather(permits(limiters(), 20), permits(limiters(), 20))
    assert busiest_second(sorted(itertools.chain(*times))) <= 35
    # 40 departures take at least the time that the limit requires.
    assert max(map(max, times)) - min(map(min, times)) > 1.0


async def test_accounts_do_not_share(limiters: Limiters) -> None:
    ours, theirs = (
        limiters(rate_limit=Rate(1, per=60.0)),
        limiters(rate_limit=Rate(1, per=60.0), account="another"),
    )
    async with asyncio.timeout(10):
        await ours.acquire()
        await theirs.acquire()


async def test_callers_are_served_in_order_and_cancelling_one_stops_no_other(limiters: Limiters) -> None:
    # A tenth of a second apart: a busy machine does not serve the sixth before it is cancelled.
    limiter, served = limiters(rate_limit=Rate(10)), list[int]()

    async def call(number: int) -> None:
        await limiter.acquire()
        served.append(number)

    tasks = [asyncio.create_task(call(number)) for number in range(12)]
    while not served:
        await asyncio.sleep(0.001)
    for number in (5, 8):
        tasks[number].cancel()
    await asyncio.wait(tasks)
    assert served == [number for number in range(12) if number not in (5, 8)]


async def test_a_pause_holds_everywhere_and_is_never_shortened(server: Server, limiters: Limiters) -> None:
    ours, theirs = limiters(), limiters()
    await asyncio.gather(ours.acquire(), theirs.acquire())
    ours.pause(5.0)
    await asyncio.gather(*ours._announcements)
    theirs.pause(0.1)
    await asyncio.gather(*theirs._announcements)
    (key,) = [key for key in await server.keys() if key.endswith(":pause")]
    assert 4000 < int(await server.ask("PTTL", key)) <= 5000
    for limiter in (ours, theirs, limiters()):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await limiter.acquire()


async def test_after_the_pause_departures_are_spaced(server: Server, limiters: Limiters) -> None:
    ours, theirs = limiters(), limiters()
    begun = time.monotonic()
    ours.pause(0.5)
    await asyncio.gather(*ours._announcements)
    times = await permits(theirs, 8)
    assert times[0] - begun > 0.4
    assert times[-1] - times[0] > 0.15


async def test_a_clock_set_back_delays_no_call(server: Server, limiters: Limiters) -> None:
    limiter = limiters()
    await limiter.acquire()
    key = await rate_key(server)
    # As the key looks when the server's clock was an hour ahead at the last departure.
    _, server_id = (await server.ask("GET", key)).decode().split()
    await server.ask("SET", key, f"{int((time.time() + 3600) * 1e6)} {server_id}")
    async with asyncio.timeout(5):
        await limiter.acquire()


async def test_reservations_of_others_count_when_redis_has_lost_its_memory(
    server: Server, limiters: Limiters
) -> None:
    ours, theirs = limiters(), limiters()
    waiting = [asyncio.create_task(permits(ours, 1)) for _ in range(40)]
    await waiting[0]
    await server.ask("FLUSHALL")
    ((later,), *times) = await asyncio.gather(permits(theirs, 1), *waiting)
    # Ours continue, and the first of theirs is after all that could have been reserved.
    assert len(times) == 40
    assert later - times[0][0] > 1.0
    assert busiest_second(sorted([later, *itertools.chain(*times)])) <= 35


async def test_lost_scripts_are_loaded_again(server: Server, limiters: Limiters) -> None:
    limiter = limiters()
    await limiter.acquire()
    await server.forget_scripts()
    await limiter.acquire()
    await server.cut_connections()
    await limiter.acquire()


async def test_a_process_that_is_late_gives_its_departure_up(limiters: Limiters) -> None:
    limiter = limiters()
    first, *_ = times = await asyncio.gather(*(permits(limiter, 1) for _ in range(3)))
    waiting = [asyncio.create_task(permits(limiter, 1)) for _ in range(6)]
    await asyncio.sleep(0.01)
    time.sleep(0.3)  # The loop is blocked for ten departures.
    blocked_until = time.monotonic()
    times = [at for (at,) in await asyncio.gather(*waiting)]
    assert first[0] < blocked_until
    # At most the two that are less than 42 ms late leave at once.
    assert len([at for at in times if at - blocked_until < 0.005]) <= 2


@pytest.mark.parametrize("seed", range(3))
async def test_the_script_does_what_the_simulation_assumes(server: Server, seed: int) -> None:
    luck = random.Random(seed)
    connection = Connection(server.url, f"account {seed}")
    keys = [connection.key(name) for name in ("rate", "pause", "processes")]
    fake = FakeRedis()
    moment = 0
    fake.time = lambda: moment  # type: ignore[method-assign]
    for step in range(150):
        if luck.random() < 0.02:
            # The key of a pause expires a little earlier or later than by the clock of the script.
            fake.pause_until = moment + 60_000_000
            await connection.run(limiter_module._PAUSE, keys[1:2], 60_000)
            response = await connection.run(limiter_module._RESERVE, keys, "a", 1, *([1] * 9))
            assert response[1:4] == [0, 0, 0]
            assert 59_000_000 < response[4] <= 60_000_000
            await connection.command("DEL", keys[1])
            fake.pause_until = -math.inf
        if luck.random() < 0.03:
            fake.after = moment + luck.choice([5_000_000, 3600_000_000])
            server = luck.choice([(await server_id(connection)), "0123abcd"])
            fake.writer = fake.restarts if server != "0123abcd" else -1
            await connection.command("SET", keys[0], f"{fake.after} {server}")
        known = luck.choice([0, 0, 0, moment + 100_000, moment + 2_000_000, moment + 3600_000_000])
        arguments = (
            f"process {luck.randrange(8)}",
            luck.choice([0, 1, 1, 2, 16]),
            luck.choice([0, 0, 1]),
            luck.choice([30_229, 60_000_000]),
            luck.choice([0, 1_000, 150_000]),
            known,
            1_300_000,
            33,
            luck.choice([1, 5, 60]),
            int(luck.random() < 0.05),
            100_000,
        )
        response = await connection.run(limiter_module._RESERVE, keys, *arguments)
        moment = response[0]
        assert response == fake.reserve(*arguments), step
    await connection.aclose()


async def test_without_redis_nothing_leaves(
    server: Server, limiters: Limiters, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = limiters()
    await limiter.acquire()
    server.stop()
    with caplog.at_level(logging.INFO, "publitrac_async"):
        for _ in range(5):
            with pytest.raises(LimiterUnavailable) as caught:
                await limiter.acquire()
        error = caught.value
        assert isinstance(error, NotSent)
        assert (error.retryable, error.maybe_applied, error.retry_after) == (True, False, 1.0)
        assert error.__cause__ is None
        server.start()
        await asyncio.sleep(1.0)
        await permits(limiter, 3)
    said = [record.message for record in caplog.records]
    assert said == ["Redis does not respond (ConnectionError)", "Redis responds again"]


async def test_without_redis_each_has_its_share_on_request(
    server: Server, limiters: Limiters, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"on_unavailable": "local", "processes": 4}
    ours, theirs = limiters(**options), limiters(**options)
    await asyncio.gather(ours.acquire(), theirs.acquire())
    departed = time.monotonic()
    server.stop()
    with caplog.at_level(logging.INFO, "publitrac_async"):
        times = await asyncio.gather(permits(ours, 12), permits(theirs, 12))
    assert min(map(min, times)) - departed > 0.9  # Calls that departed before the outage count.
    for own in times:
        assert busiest_second(own) <= 8
    assert len(caplog.records) == 2  # Once each.


async def test_a_silent_server_is_not_waited_for_by_one_caller_after_the_other(
    server: Server, limiters: Limiters
) -> None:
    limiter = limiters()
    await limiter.acquire()
    stalled = asyncio.create_task(server.stall(1.5))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    outcomes = await asyncio.gather(*(limiter.acquire() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(outcome, LimiterUnavailable) for outcome in outcomes)
    assert time.monotonic() - begun < 1.45  # One timeout for all.
    await stalled


@pytest.mark.parametrize("ends", ["with a response", "with an error"])
async def test_a_cancellation_that_redis_py_drops_is_not_lost(ends: str) -> None:
    async def write() -> str:
        # As asyncio.wait_for in Python 3.11, if the write ends in the same turn of the loop.
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if ends == "with an error":
                raise TimeoutError from None
        return "OK"

    task = asyncio.create_task(Connection("redis://127.0.0.1:1", "the-key")._attempt(write))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
