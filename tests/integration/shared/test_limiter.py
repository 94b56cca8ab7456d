"""The shared limiter against a real server, in one process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async import LimiterUnavailable, NotSent
from publitrac_async.shared import RedisRateLimiter, SharedRedis

from .server import Server
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


async def test_two_limiters_share_one_limit(limiters: Limiters) -> None:
    times = await asyncio.gather(permits(limiters(), 20), permits(limiters(), 20))
    assert busiest_second(sorted(itertools.chain(*times))) <= 35
    # 40 departures take what the limit says, or longer.
    assert max(map(max, times)) - min(map(min, times)) > 1.0


async def test_accounts_do_not_share(limiters: Limiters) -> None:
    ours, theirs = limiters(rate_limit=1, per=60.0), limiters(rate_limit=1, per=60.0, account="another")
    async with asyncio.timeout(10):
        await ours.acquire()
        await theirs.acquire()


async def test_one_more_than_the_limit_takes_longer_than_the_time(server: Server, limiters: Limiters) -> None:
    """Whatever the calls, what may be at hand included."""
    for calls, per in [(1, 1.0), (2, 0.5), (35, 1.0), (50, 20.0)]:
        limiter = limiters(rate_limit=calls, per=per, account=f"{calls}")
        _, units, _, _, unit, at_hand = limiter._arguments
        assert ((calls + 1) * units - at_hand) * unit / 1e6 > per + 0.02


async def test_callers_are_served_in_order_and_cancelling_one_stops_nobody(limiters: Limiters) -> None:
    limiter, served = limiters(), list[int]()

    async def call(number: int) -> None:
        await limiter.acquire()
        served.append(number)

    tasks = [asyncio.create_task(call(number)) for number in range(12)]
    await asyncio.sleep(0.07)
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


async def test_a_clock_set_back_holds_nobody_up(server: Server, limiters: Limiters) -> None:
    limiter = limiters()
    await limiter.acquire()
    (key,) = await server.keys()
    # As the key looks when the server's clock was an hour ahead at the last departure.
    await server.ask("HSET", key, "tat1", int((time.time() + 3600) * 1e6))
    await server.ask("PEXPIRE", key, 3_600_000)
    async with asyncio.timeout(5):
        await limiter.acquire()


async def test_lost_scripts_are_loaded_again(server: Server, limiters: Limiters) -> None:
    limiter = limiters()
    await limiter.acquire()
    await server.forget_scripts()
    await limiter.acquire()
    await server.cut_connections()
    await limiter.acquire()


async def test_a_permit_that_comes_late_is_let_go(
    server: Server, limiters: Limiters, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = limiters()
    await permits(limiter, 3)
    run, asked = limiter._connection.run, list[int]()

    async def slow(*arguments: Any) -> Any:
        answer = await run(*arguments)
        asked.append(int(answer[0]))
        if asked.count(-1) == 1:
            await asyncio.sleep(0.2)
        return answer

    monkeypatch.setattr(limiter._connection, "run", slow)
    await asyncio.sleep(0.1)
    await limiter.acquire()
    assert asked.count(-1) == 2


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


async def test_without_redis_each_has_its_share_if_asked(
    server: Server, limiters: Limiters, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"on_unavailable": "local", "processes": 4}
    ours, theirs = limiters(**options), limiters(**options)
    await asyncio.gather(ours.acquire(), theirs.acquire())
    server.stop()
    with caplog.at_level(logging.INFO, "publitrac_async"):
        begun = time.monotonic()
        times = await asyncio.gather(permits(ours, 12), permits(theirs, 12))
    assert min(map(min, times)) - begun > 0.9  # What was left before still counts.
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
    assert time.monotonic() - begun < 1.45  # One time-out for all.
    await stalled
