"""Automatic concurrency: the rate limit is used however slow the service is, with few calls in flight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import define, field

from publitrac_async import PublitracClient, PublitracError, Rate, RetryPolicy, Timeout, WindowLimiter
from publitrac_async.config import CONCURRENCY, CONCURRENCY_CEILING
from publitrac_async.transport.concurrency import AdaptiveGate, ConcurrencyGate
from publitrac_async.transport.limits import RateLimiter
from publitrac_async.transport.pipeline import Transport
from tests.support.clients import call, transport
from tests.support.clock import now, virtual

Latency = Callable[[float], float]


@define
class Service:
    """Responds after the time that `latency` returns, and counts."""

    latency: Latency
    started: float = field(factory=now)
    arrivals: list[float] = field(factory=list)
    inside: int = 0
    most: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        at = now() - self.started
        self.arrivals.append(at)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(self.latency(at))
        self.inside -= 1
        return httpx.Response(200, content=b"fine")

    def rate(self, since: float, until: float) -> float:
        return sum(1 for at in self.arrivals if since <= at < until) / (until - since)


async def press(service: Service, seconds: float, *, calls: int = 40, **options: Any) -> Transport:
    """Start more calls than the limit permits, `calls` per second, for some seconds."""
    settings = {"limiter": WindowLimiter(35, clock=now), "concurrency": None, "timeout": Timeout(total=None)}
    pipeline = transport(service, **settings | options)
    tasks = [asyncio.create_task(pipeline.send(call())) for _ in range(int(seconds * calls))]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert pipeline.gate.in_flight == 0
    return pipeline


@pytest.mark.parametrize("latency", [0.05, 0.4, 1.0, 2.0, 4.0])
@virtual
async def test_the_limit_is_used_however_slow_the_service(latency: float) -> None:
    service = Service(lambda _: latency)
    await press(service, seconds=15)
    assert service.rate(2, 15) >= 0.93 * 35
    assert service.most <= 1.3 * 35 * latency + 2
    assert len([at for at in service.arrivals if at < 2]) >= 0.9 * 70


JUMPS = {
    "between 0.05 and 0.5 s": (lambda at: 0.05 if at // 5 % 2 == 0 else 0.5, 0.5),
    "between 0.4 and 4 s": (lambda at: 0.4 if at // 10 % 2 == 0 else 4.0, 4.0),
    "one in two 80 times slower": (lambda _: random.choice([0.05, 4.0]), 2.1),
    "evenly random": (lambda _: random.uniform(0.2, 0.6), 0.45),
    "exponential": (lambda _: random.expovariate(1 / 0.3), 0.45),
    "one in a hundred hangs": (lambda _: 20.0 if random.random() < 0.01 else 0.1, 0.35),
}


@pytest.mark.parametrize("jumps", list(JUMPS))
@virtual
async def test_the_limit_is_used_when_the_latency_jumps(jumps: str) -> None:
    random.seed(7)
    latency, worst = JUMPS[jumps]
    service = Service(latency)
    await press(service, seconds=40)
    assert service.rate(3, 40) >= 0.93 * 35
    assert service.most <= 1.3 * 35 * worst + 2


@virtual
async def test_a_service_that_became_fast_again_has_few_calls_in_flight() -> None:
    service = Service(lambda at: 2.0 if at < 10 else 0.1)

    async def forget() -> None:
        await asyncio.sleep(13)
        service.most = 0

    await asyncio.gather(press(service, seconds=20), forget())
    assert service.rate(13, 20) >= 0.93 * 35
    assert service.most <= 1.3 * 35 * 0.1 + 7  # The burst after each window is not smaller than before.


@virtual
async def test_a_few_calls_at_once_need_not_wait_for_each_other() -> None:
    service = Service(lambda _: 0.2)
    pipeline = transport(service, limiter=WindowLimiter(35, clock=now), concurrency=None)
    started = now()
    await asyncio.gather(*(pipeline.send(call()) for _ in range(3)))
    assert now() - started == pytest.approx(0.2, abs=0.001)


@virtual
async def test_there_is_a_ceiling() -> None:
    service = Service(lambda _: 5.0)
    await press(service, seconds=12, calls=110, limiter=WindowLimiter(100, clock=now))
    assert service.most == CONCURRENCY_CEILING


@virtual
async def test_the_limit_of_a_limiter_that_does_not_report_its_rate_is_used_too() -> None:
    class Silent:
        def __init__(self) -> None:
            self._limiter = WindowLimiter(100, clock=now)

        async def acquire(self) -> None:
            await self._limiter.acquire()

        def pause(self, seconds: float) -> None: ...

    service = Service(lambda _: 1.0)
    await press(service, seconds=12, calls=110, limiter=Silent())
    assert service.rate(5, 12) >= 0.93 * 100
    assert service.most <= 1.3 * 100 * 1.0 + 2


@virtual
async def test_calls_that_wait_for_a_retry_lend_their_slots() -> None:
    """Otherwise a few of them would stop all others."""
    refused = 0

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal refused
        if request.content == b"bad":
            refused += 1
            return httpx.Response(503, headers={"retry-after": "50"})
        return httpx.Response(200, content=b"fine")

    limiter = WindowLimiter(35, clock=now)
    pipeline = transport(handler, limiter=limiter, concurrency=None, timeout=Timeout(total=None))
    bad = [asyncio.create_task(pipeline.send(call(content=b"bad"))) for _ in range(20)]
    await asyncio.sleep(5)
    assert refused == 20
    started = now()
    await asyncio.gather(*(pipeline.send(call()) for _ in range(10)))
    assert now() - started < 1
    for task in bad:
        task.cancel()
    await asyncio.wait(bad)
    assert pipeline.gate.in_flight == 0


@pytest.mark.parametrize("concurrency", [None, 2])
@virtual
async def test_no_slot_is_lost_whatever_calls_do(concurrency: int | None) -> None:
    chance = random.Random(7)

    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(chance.uniform(0, 0.3))
        if chance.random() < 0.3:
            raise httpx.ReadError("x")
        return httpx.Response(chance.choice([200, 200, 200, 503, 404]), content=b"fine")

    limiter = WindowLimiter(35, clock=now)
    pipeline = transport(
        handler, limiter=limiter, concurrency=concurrency, retry=RetryPolicy(base=0.3, budget=10**6)
    )
    tasks = [asyncio.create_task(pipeline.send(call())) for _ in range(300)]
    for task in chance.sample(tasks, 150):
        await asyncio.sleep(0.02)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(
        result == b"fine" or isinstance(result, asyncio.CancelledError | PublitracError) for result in results
    )
    assert pipeline.gate.in_flight == 0
    assert await asyncio.wait_for(_first_success(pipeline), 60) == b"fine"


async def _first_success(pipeline: Transport) -> bytes:
    while True:
        try:
            return bytes(await pipeline.send(call()))
        except PublitracError:
            continue


@virtual
async def test_a_second_limiter_has_calls_in_flight_of_its_own() -> None:
    """Calls that wait for one of them do not delay calls that wait for the other."""
    service = Service(lambda _: 0.1)
    slow, quick = WindowLimiter(1, clock=now), WindowLimiter(100, clock=now)
    pipeline = transport(service, limiter=slow, concurrency=None)
    waiting = [asyncio.create_task(pipeline.send(call())) for _ in range(20)]
    await asyncio.sleep(0.1)
    started = now()
    await asyncio.gather(*(pipeline.send(call(), limiter=quick) for _ in range(100)))
    assert now() - started < 1.3
    await asyncio.gather(*waiting)


@pytest.mark.parametrize(
    ("settings", "kind", "width"),
    [
        ({}, AdaptiveGate, 3),
        ({"concurrency": None}, AdaptiveGate, 3),
        ({"concurrency": 32}, ConcurrencyGate, 32),
        ({"rate_limit": None}, ConcurrencyGate, CONCURRENCY),
        ({"limiter": WindowLimiter(Rate(50, per=20))}, AdaptiveGate, 3),
    ],
)
def test_a_number_fixes_it(settings: dict[str, Any], kind: type[ConcurrencyGate], width: int) -> None:
    gate = PublitracClient(api_key="k", **settings)._transport.gate
    assert type(gate) is kind
    assert gate.width == width


def test_limiters_report_their_rate() -> None:
    limiter: RateLimiter = WindowLimiter(Rate(50, per=20))
    assert getattr(limiter, "rate", None) == Rate(50, per=20)
