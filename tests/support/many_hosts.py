"""Many processes on one shared limit, in virtual time: the real limiter with a simulated Redis.

The network, the clocks of the hosts, blocked event loops and the effect of the limiter's script in Redis are
simulated. A test of the script compares the simulation with a real Redis.
"""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from attrs import define, field, frozen

from publitrac_async import LimiterUnavailable, Rate
from publitrac_async.shared.redis.connection import RETRY_AFTER, Connection, Unavailable
from publitrac_async.shared.redis.limiter import GUARD, RedisRateLimiter
from tests.support.clock import now

#: The clock of Redis is far from those of the hosts.
_EPOCH = 1_700_000_000.0


@frozen(kw_only=True)
class Setting:
    """The processes that want to call, and their distances; all times in seconds.

    Attributes:
        to_redis: round-trip time to Redis of each process.
        callers: tasks in each process, each of which makes calls one after another.
        few: number of callers in some processes, and the seconds that each waits between two calls.
        seconds: virtual time that the test lasts after the first departure.
        limit: calls per second.
        guard: the limiter's guard time.
        jitter: mean of the exponential delay that is added to each way to or from Redis.
        blocked: share of each 90 ms in which something blocks the event loop of each process.
        to_service: shortest and longest time on the way to the service.
        response: time that the service takes to respond.
        joins: start time of each process; all start at once by default.
        kills: processes to kill and when; another process starts a second later to replace them.
        restarts: restarts of Redis: time, duration, and how many seconds of earlier writes are lost.
        steps: when the clock of Redis is set, and by how much.
        seed: seed of everything random.
    """

    to_redis: Sequence[float]
    callers: int = 32
    few: Mapping[int, tuple[int, float]] = field(factory=dict)
    seconds: float = 60.0
    limit: int = 35
    guard: float = GUARD
    jitter: float = 0.0
    blocked: float = 0.0
    to_service: tuple[float, float] = (0.010, 0.012)
    response: float = 0.080
    joins: Mapping[int, float] = field(factory=dict)
    kills: Sequence[tuple[int, float]] = ()
    restarts: Sequence[tuple[float, float, float]] = ()
    steps: Sequence[tuple[float, float]] = ()
    seed: int = 1


@define
class Outcome:
    """The arrivals at the service.

    Attributes:
        setting: what was simulated.
        arrivals: time and process of each call, in order of time.
        redis_calls: number of commands sent to Redis.
    """

    setting: Setting
    arrivals: list[tuple[float, int]] = field(factory=list)
    redis_calls: int = 0

    @property
    def busiest_second(self) -> int:
        """The largest number of calls that the service saw in any second."""
        times = [at for at, _ in self.arrivals]
        return max(bisect_left(times, start + 1.0) - index for index, start in enumerate(times))

    @property
    def steady(self) -> list[tuple[float, int]]:
        """The arrivals after the first two seconds."""
        return [(at, process) for at, process in self.arrivals if at > self.arrivals[0][0] + 2]

    @property
    def used(self) -> float:
        """Share of the limit that was used after the first two seconds."""
        span = self.arrivals[-1][0] - self.arrivals[0][0] - 2
        return len(self.steady) / span / self.setting.limit

    @property
    def shares(self) -> list[float]:
        """Calls of each process divided by a fair share, after the first two seconds."""
        processes = [process for _, process in self.steady]
        number = len(self.setting.to_redis)
        return [processes.count(each) * number / len(processes) for each in range(number)]

    @property
    def redis_calls_per_second(self) -> float:
        """Commands sent to Redis per second."""
        return self.redis_calls / (self.arrivals[-1][0] - self.arrivals[0][0])


class FakeRedis:
    """A simulated Redis: it does the same as the limiter's script in a real one."""

    def __init__(self) -> None:
        self.calls = self.restarts = 0
        self.up = True
        self.step = 0.0
        self.after: float | None = None
        #: Restarts at the time of the last reservation.
        self.writer = 0
        self.pause_until = -math.inf
        self.active: dict[str, float] = {}
        self._memories: list[tuple[float, float, int, dict[str, float]]] = []

    def restart(self, lost: float) -> None:
        """Restart, without the writes of the last `lost` seconds."""
        self.restarts += 1
        kept = [each for each in self._memories if each[0] <= now() - lost]
        _, self.after, self.writer, self.active = kept[-1] if kept else (0.0, None, 0, {})

    def time(self) -> int:
        return round((now() + _EPOCH + self.step) * 1e6)

    def reserve(self, process: str, *arguments: float) -> list[int]:
        wanted, least, interval, lead, known, horizon, reserved, processes, unsure, _ = arguments
        self.calls += 1
        moment = self.time()
        if not wanted:
            return [moment]
        if self.pause_until > moment:
            return [moment, 0, 0, 0, round(self.pause_until - moment)]
        if processes > 1:
            horizon = max(horizon, (processes + 2) * interval)
        absurd = moment + max(10 * horizon, 100 * interval)
        slot = self.after or 0
        if slot > absurd:
            slot = 0
        if not slot or self.writer != self.restarts:
            slot = max(slot, moment + horizon + min(interval, 50_000))
        if known > absurd:
            known = 0
        if unsure:
            slot = max(slot, moment + horizon)
        slot = max(slot, known, moment + lead)
        self.active = {each: end for each, end in self.active.items() if end > moment}
        self.active[process] = slot + 1_000_000
        processes = len(self.active)
        room = math.floor((moment + horizon - slot) / interval) + 1
        granted = max(least, min(wanted, max(1, reserved // processes), room))
        self.after = slot + granted * interval
        self.active[process] = self.after + 1_000_000
        self.writer = self.restarts
        self._memories.append((now(), self.after, self.writer, dict(self.active)))
        wait = 0 if granted > 0 else max(1000, slot - moment - horizon)
        return [moment, int(slot), int(granted), processes, int(wait)]


class _Host:
    """A host with its own clock, and with an event loop that may be blocked."""

    def __init__(self, setting: Setting, to_redis: float, generator: random.Random) -> None:
        self._setting = setting
        self._one_way = to_redis / 2
        self._random = generator
        self._phase = generator.uniform(0, 0.09)
        self._clock = generator.uniform(-500, 500), generator.uniform(-20e-6, 20e-6)

    def clock(self) -> float:
        start, drift = self._clock
        return now() * (1 + drift) + start

    def way(self) -> float:
        jitter = self._setting.jitter
        return self._one_way + (self._random.expovariate(1 / jitter) if jitter else 0.0)

    async def sleep(self, seconds: float) -> None:
        """Sleep, and continue when the event loop is no longer blocked."""
        await asyncio.sleep(seconds)
        left = self._setting.blocked - (now() + self._phase) % 0.09
        if left > 0:
            await asyncio.sleep(left)


class _Connection:
    """The connection of one process to the simulated Redis, instead of `Connection`."""

    def __init__(self, redis: FakeRedis, host: _Host) -> None:
        self.outages = 0
        self.refusal = ""
        self.available_since = -math.inf
        self._redis = redis
        self._host = host
        self._retry_at = -math.inf

    def key(self, name: str) -> str:
        return name

    async def run(self, script: str, keys: Sequence[str], *arguments: Any) -> list[int]:
        if now() < self._retry_at:
            raise Unavailable("ConnectionError")
        restarts = self._redis.restarts
        await asyncio.sleep(self._host.way())
        if not self._redis.up or self._redis.restarts != restarts:
            self.outages += 1
            self._retry_at = now() + RETRY_AFTER
            raise Unavailable("ConnectionError")
        response = self._redis.reserve(*arguments)
        await self._host.sleep(self._host.way())
        return response


class _Limiter(RedisRateLimiter):
    host: _Host

    async def _sleep(self, seconds: float) -> None:
        await self.host.sleep(max(seconds, 0.001))


class _Fleet:
    """The processes of a simulation."""

    def __init__(self, setting: Setting, outcome: Outcome) -> None:
        self.redis = FakeRedis()
        self._setting = setting
        self._outcome = outcome
        self._random = random.Random(setting.seed)
        self._running: dict[int, tuple[_Limiter, list[asyncio.Task[None]]]] = {}

    def start(self, process: int) -> None:
        host = _Host(self._setting, self._setting.to_redis[process], self._random)
        connection = cast(Connection, _Connection(self.redis, host))
        limiter = _Limiter(connection, Rate(self._setting.limit), guard=self._setting.guard, clock=host.clock)
        limiter.host = host
        number, pause = self._setting.few.get(process, (self._setting.callers, self._setting.response))
        callers = [asyncio.create_task(self._call(process, limiter, pause)) for _ in range(number)]
        self._running[process] = limiter, callers

    async def kill(self, process: int) -> None:
        limiter, callers = self._running.pop(process)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await limiter.aclose()

    async def kill_all(self) -> None:
        for process in list(self._running):
            await self.kill(process)

    async def _call(self, process: int, limiter: _Limiter, pause: float) -> None:
        while True:
            try:
                await limiter.acquire()
            except LimiterUnavailable as error:
                await asyncio.sleep(error.retry_after or 0.0)
                continue
            await asyncio.sleep(self._random.uniform(*self._setting.to_service))
            self._outcome.arrivals.append((now(), process))
            await limiter.host.sleep(pause)


async def simulate(setting: Setting) -> Outcome:
    """Let every process call as fast as the limiter permits. It needs an event loop with virtual time."""
    outcome = Outcome(setting)
    fleet = _Fleet(setting, outcome)
    redis = fleet.redis

    async def at(moment: float, step: Callable[[], Any]) -> None:
        await asyncio.sleep(moment)
        step()

    async def kill(process: int, moment: float) -> None:
        await asyncio.sleep(moment)
        await fleet.kill(process)
        await asyncio.sleep(1.0)
        fleet.start(process)

    async def restart(moment: float, duration: float, lost: float) -> None:
        await asyncio.sleep(moment)
        redis.up = False
        redis.restart(lost)
        await asyncio.sleep(duration)
        redis.up = True

    def set_clock(by: float) -> None:
        redis.step += by

    processes = range(len(setting.to_redis))
    plan = [
        *(at(setting.joins.get(each, 0.0), lambda each=each: fleet.start(each)) for each in processes),
        *(kill(*each) for each in setting.kills),
        *(restart(*each) for each in setting.restarts),
        *(at(moment, lambda by=by: set_clock(by)) for moment, by in setting.steps),
    ]
    steps = [asyncio.create_task(step) for step in plan]
    while not outcome.arrivals:
        await asyncio.sleep(0.1)
    await asyncio.sleep(setting.seconds)
    await asyncio.gather(*steps)
    await fleet.kill_all()
    outcome.arrivals.sort()
    outcome.redis_calls = redis.calls
    return outcome


def described(outcome: Outcome) -> Sequence[str]:
    """Describe the outcome in a few lines."""
    setting = outcome.setting
    farthest = max(setting.to_redis) * 1000
    return (
        f"{len(setting.to_redis)} processes up to {farthest:g} ms from Redis",
        f"jitter {setting.jitter * 1000:g} ms, loops blocked {setting.blocked * 1000:g} of 90 ms",
        f"busiest second {outcome.busiest_second}, {outcome.used:.1%} used",
        f"shares {min(outcome.shares):.2f} to {max(outcome.shares):.2f} of a fair one",
        f"{outcome.redis_calls_per_second:,.0f} commands a second to Redis",
    )
