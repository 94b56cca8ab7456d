"""Many workers on one shared limit, in virtual time: the real limiter, and a Redis that is made up.

Made up are the ways to Redis and to the service, and the time that Redis takes for a script. The script
itself is that of pyrate-limiter, in Python.
"""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import cast

from attrs import define, field, frozen

from publitrac_async.shared import RedisRateLimiter
from publitrac_async.shared.redis.connection import Connection
from publitrac_async.shared.redis.limiter import GUARD
from tests.support.clock import now


@frozen(kw_only=True)
class Setting:
    """Who wants to call, and how far away everything is; all times in seconds.

    Attributes:
        workers: processes.
        calls: that each of them has in flight, or waiting, at any time.
        seconds: of virtual time.
        limit: calls a second.
        guard: as the limiter has it.
        to_redis: one way, the least and the most that a host is away.
        to_service: likewise.
        jitter: mean of what every way takes besides.
        script: Redis is busy with one question.
        answer: the service takes for a call.
    """

    workers: int
    calls: int = 32
    seconds: float = 60.0
    limit: int = 35
    guard: float = GUARD
    to_redis: tuple[float, float] = (0.0002, 0.002)
    to_service: tuple[float, float] = (0.010, 0.015)
    jitter: float = 0.0003
    script: float = 0.00002
    answer: float = 0.080


@define
class Outcome:
    """What came of it.

    Attributes:
        arrivals: when calls reached the service, in order.
        by_worker: how many calls each worker got through.
        waits: seconds that each call waited for the limit, once all have waited.
        questions: that Redis was asked.
        seconds: of virtual time.
    """

    setting: Setting
    arrivals: list[float] = field(factory=list)
    by_worker: list[int] = field(factory=list)
    waits: list[float] = field(factory=list)
    questions: int = 0
    seconds: float = 0.0

    @property
    def busiest_second(self) -> int:
        """The most calls that the service saw in any second."""
        times = sorted(self.arrivals)
        return max(bisect_left(times, start + 1.0) - index for index, start in enumerate(times))

    @property
    def rate(self) -> float:
        """Calls a second, on average."""
        return len(self.arrivals) / self.seconds

    @property
    def used(self) -> float:
        """Part of the limit."""
        return self.rate / self.setting.limit

    @property
    def least_share(self) -> float:
        """What the worker that got least got, as part of a fair share."""
        return min(self.by_worker) * len(self.by_worker) / sum(self.by_worker)

    @property
    def greatest_share(self) -> float:
        """What the worker that got most got, as part of a fair share."""
        return max(self.by_worker) * len(self.by_worker) / sum(self.by_worker)

    @property
    def questions_a_second(self) -> float:
        """How often Redis was asked."""
        return self.questions / self.seconds

    @property
    def wait(self) -> tuple[float, float]:
        """The median and the longest wait for the limit."""
        waits = sorted(self.waits)
        return (waits[len(waits) // 2], waits[-1]) if waits else (math.nan, math.nan)


class _Redis:
    """One server: it answers one question after the other."""

    def __init__(self, script: float) -> None:
        self.questions = 0
        self._script = script
        self._free_at = -math.inf
        self._departures: float | None = None

    async def gcra(self, weight: int, emission: int, burst: int) -> list[int]:
        """GCRA with one rate; microseconds, as in the script of pyrate-limiter."""
        self.questions += 1
        self._free_at = max(self._free_at, now()) + self._script
        await asyncio.sleep(self._free_at - now())
        moment = math.floor(now() * 1_000_000)
        departure = moment if self._departures is None else max(self._departures, moment)
        advanced = departure + weight * emission
        allowed_at = advanced - burst * emission
        if allowed_at > moment:
            return [0, math.ceil((allowed_at - moment) / 1000)]
        self._departures = advanced
        return [-1, 0]


class _Connection:
    """The way of one host to the server; stands for `publitrac_async.shared.redis.connection.Connection`."""

    outages = 0
    available_since = -math.inf

    def __init__(self, redis: _Redis, way: Callable[[], float]) -> None:
        self._redis = redis
        self._way = way

    def key(self, name: str) -> str:
        return name

    async def run(self, script: str, keys: Sequence[str], *arguments: float) -> list[int]:
        _, weight, _, _, emission, burst = arguments
        await asyncio.sleep(self._way())
        answer = await self._redis.gcra(int(weight), int(emission), int(burst))
        await asyncio.sleep(self._way())
        return answer

    async def aclose(self) -> None:
        pass


async def simulate(setting: Setting) -> Outcome:
    """Let every worker call as fast as it may; needs a virtual loop."""
    luck = random.Random(1)
    redis, outcome = _Redis(setting.script), Outcome(setting)
    outcome.by_worker = [0] * setting.workers
    start = now()

    def way(between: tuple[float, float]) -> Callable[[], float]:
        least = luck.uniform(*between)
        return lambda: least + luck.expovariate(1 / setting.jitter)

    async def call(worker: int, limiter: RedisRateLimiter, to_service: Callable[[], float]) -> None:
        first = True
        while True:
            wanted = now()
            await limiter.acquire()
            outcome.by_worker[worker] += 1
            if not first:
                outcome.waits.append(now() - wanted)
            first = False
            await asyncio.sleep(to_service())
            outcome.arrivals.append(now())
            await asyncio.sleep(setting.answer + to_service())

    tasks = []
    for worker in range(setting.workers):
        connection = cast(Connection, _Connection(redis, way(setting.to_redis)))
        limiter = RedisRateLimiter(connection, setting.limit, guard=setting.guard, clock=now)
        to_service = way(setting.to_service)
        tasks += [asyncio.create_task(call(worker, limiter, to_service)) for _ in range(setting.calls)]
    await asyncio.sleep(setting.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    outcome.seconds = now() - start
    outcome.questions = redis.questions
    return outcome


def described(outcome: Outcome) -> Sequence[str]:
    """In words, for whoever runs it."""
    median, longest = outcome.wait
    return (
        f"{outcome.setting.workers} workers of {outcome.setting.calls} calls, {outcome.seconds:.0f} s",
        f"busiest second {outcome.busiest_second}, {outcome.rate:.2f} a second, {outcome.used:.1%} used",
        f"shares of workers {outcome.least_share:.2f} to {outcome.greatest_share:.2f} of a fair one",
        f"Redis asked {outcome.questions_a_second:,.0f} times a second",
        f"wait for the limit {median:.1f} s, longest {longest:.1f} s",
    )
