"""No sliding window ever contains more departures than allowed."""

from __future__ import annotations

import asyncio
import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async import ConfigurationError, Rate, RateLimiter, WindowLimiter
from publitrac_async.transport.limits import Unlimited, limiter_for
from tests.support.clock import jump, now, run_virtual, virtual

WINDOW = 1.05


def most_in_window(times: list[float], window: float) -> int:
    """The most of `times` in any half-open window: the exact maximum over all positions."""
    times = sorted(times)
    most = start = 0
    for end, time in enumerate(times):
        while times[start] <= time - window:
            start += 1
        most = max(most, end - start + 1)
    return most


async def depart(limiter: RateLimiter, log: list[float], delay: float = 0) -> None:
    await asyncio.sleep(delay)
    await limiter.acquire()
    log.append(now())


@given(
    gaps=st.lists(
        st.one_of(st.just(0.0), st.floats(0, 0.1), st.floats(0, 3)),
        min_size=1,
        max_size=150,
    ),
    cancelled=st.sets(st.integers(0, 149)),
    pauses=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 3)), max_size=3),
)
@settings(max_examples=60)
@pytest.mark.fault("F35")
def test_no_window_holds_more_whatever_the_arrivals(
    gaps: list[float], cancelled: set[int], pauses: list[tuple[float, float]]
) -> None:
    async def main() -> None:
        limiter = WindowLimiter(35, clock=now)
        log: list[float] = []
        arrivals = list(itertools.accumulate(gaps))
        tasks = [asyncio.create_task(depart(limiter, log, at)) for at in arrivals]
        for at, seconds in pauses:
            asyncio.get_running_loop().call_later(at, limiter.pause, seconds)
        for number in cancelled:
            if number < len(tasks):
                asyncio.get_running_loop().call_later(arrivals[number] + 0.01, tasks[number].cancel)
        await asyncio.wait(tasks)
        await asyncio.sleep(10)  # Pauses in the future.
        assert most_in_window(log, WINDOW) <= 35
        assert len(log) >= len(tasks) - len(cancelled)

    run_virtual(main())


@pytest.mark.parametrize("calls", [1, 2, 5, 35, 100])
def test_any_rate_keeps_its_window(calls: int) -> None:
    async def main() -> None:
        limiter = WindowLimiter(calls, clock=now)
        log: list[float] = []
        await asyncio.gather(*(depart(limiter, log) for _ in range(calls * 4)))
        assert most_in_window(log, WINDOW) <= calls
        assert now() - 1000 < 4.3

    run_virtual(main())


@virtual
async def test_700_calls_at_once_use_95_percent_of_the_allowance() -> None:
    limiter, log = WindowLimiter(35, clock=now), list[float]()
    started = now()
    await asyncio.gather(*(depart(limiter, log) for _ in range(700)))
    assert most_in_window(log, WINDOW) <= 35
    assert 700 / (now() - started) >= 0.95 * 35


@virtual
async def test_served_in_order_of_arrival() -> None:
    limiter, order = WindowLimiter(35, clock=now), list[int]()

    async def one(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    await asyncio.gather(*(one(number) for number in range(200)))
    assert order == list(range(200))


@virtual
async def test_after_idle_time_the_burst_is_small_and_the_window_holds() -> None:
    limiter, log = WindowLimiter(35, clock=now), list[float]()
    await asyncio.gather(*(depart(limiter, log) for _ in range(35)))
    await asyncio.sleep(600)
    resumed = now()
    await asyncio.gather(*(depart(limiter, log) for _ in range(100)))
    assert sum(1 for time in log if resumed <= time < resumed + 0.001) <= 6
    assert most_in_window(log, WINDOW) <= 35


@virtual
async def test_cancelled_waiters_cost_nothing_and_block_no_other() -> None:
    async def time_of_200(cancelled: int) -> float:
        limiter, log = WindowLimiter(35, clock=now), list[float]()
        started = now()
        first = [asyncio.create_task(depart(limiter, log)) for _ in range(100)]
        doomed = [asyncio.create_task(depart(limiter, log)) for _ in range(cancelled)]
        last = [asyncio.create_task(depart(limiter, log)) for _ in range(100)]
        await asyncio.sleep(0.5)
        for task in doomed:
            task.cancel()
        await asyncio.gather(*first, *last)
        assert len(log) == 200
        return now() - started

    assert await time_of_200(1000) == pytest.approx(await time_of_200(0), abs=0.01)


@virtual
async def test_a_waiter_cancelled_at_the_head_of_the_queue_over_and_over_costs_nothing() -> None:
    limiter, log = WindowLimiter(35, clock=now), list[float]()
    limiter.pause(5)
    for _ in range(300):
        task = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0.01)
        task.cancel()
    await asyncio.sleep(5)
    resumed = now()
    await asyncio.gather(*(depart(limiter, log) for _ in range(35)))
    assert now() - resumed < 1


@virtual
async def test_a_pause_holds_those_who_wait_already() -> None:
    limiter, log = WindowLimiter(35, clock=now), list[float]()
    started = now()
    tasks = [asyncio.create_task(depart(limiter, log)) for _ in range(50)]
    await asyncio.sleep(0.1)
    before = len(log)
    limiter.pause(10)
    limiter.pause(1)  # A shorter one does not shorten it.
    await asyncio.gather(*tasks)
    assert 0 < before < 50
    assert log[before] >= started + 10.1
    assert most_in_window(log, WINDOW) <= 35


@virtual
@pytest.mark.fault("F20")
async def test_a_clock_that_stood_still_gives_no_more_than_the_allowance() -> None:
    limiter, log = WindowLimiter(35, clock=now), list[float]()
    await asyncio.gather(*(depart(limiter, log) for _ in range(35)))
    jump(86400)
    await asyncio.gather(*(depart(limiter, log) for _ in range(70)))
    assert most_in_window(log, WINDOW) <= 35


@virtual
async def test_the_time_of_the_write_counts() -> None:
    """Between permit and write, hooks and other programs take time."""
    limiter, log = WindowLimiter(35, clock=now), list[float]()

    async def depart_late() -> None:
        await limiter.acquire()
        jump(0.3)  # Nothing else runs meanwhile: the event loop does not turn.
        log.append(now())

    await depart_late()
    await asyncio.gather(*(depart(limiter, log) for _ in range(100)))
    assert most_in_window(log, WINDOW) <= 35


@virtual
async def test_unlimited_lets_all_through_but_pauses() -> None:
    limiter, log = Unlimited(clock=now), list[float]()
    started = now()
    await asyncio.gather(*(depart(limiter, log) for _ in range(1000)))
    assert now() - started < 0.001
    limiter.pause(3)
    await depart(limiter, log)
    assert log[-1] - started >= 3


class NoBurst:
    """nginx' ``limit_req`` without ``burst``, which counts in milliseconds."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.last = -math.inf
        self.refused = 0

    def arrive(self, at: float) -> None:
        milliseconds = math.floor(at * 1000)
        if (milliseconds - self.last) * self.rate < 1000:
            self.refused += 1
        else:
            self.last = milliseconds


@pytest.mark.parametrize("quiet", [0.0, 0.01, 5.0])
@virtual
async def test_an_even_pace_is_never_refused_by_a_limit_without_burst(quiet: float) -> None:
    limiter, log = WindowLimiter(Rate(35, pace="even"), clock=now), list[float]()
    service, jitter = NoBurst(35), random.Random(7)
    for _ in range(4):
        await asyncio.gather(*(depart(limiter, log) for _ in range(35)))
        await asyncio.sleep(quiet)
    for at in log:
        service.arrive(at + jitter.uniform(0, 0.003))
    assert service.refused == 0
    assert most_in_window(log, WINDOW) <= 35


@virtual
async def test_an_even_pace_uses_seven_eighths_of_the_allowance() -> None:
    limiter, log = WindowLimiter(Rate(35, pace="even"), clock=now), list[float]()
    started = now()
    await asyncio.gather(*(depart(limiter, log) for _ in range(350)))
    assert 350 / (now() - started) >= 0.86 * 35


def test_a_negative_guard_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        WindowLimiter(1, guard=-1)


def test_a_rate_gives_the_default_limiter() -> None:
    assert isinstance(limiter_for(None), Unlimited)
    assert repr(limiter_for(35)) == "WindowLimiter(35 calls in 1.05 s)"
    assert isinstance(limiter_for(35), RateLimiter)


def test_a_limiter_takes_a_number_of_calls_and_seconds() -> None:
    assert WindowLimiter(100).rate == Rate(100)
    assert WindowLimiter(Rate(7, per=3.0)).rate == Rate(7, per=3.0)
    assert WindowLimiter(1, guard=0.0).rate == Rate(1)
