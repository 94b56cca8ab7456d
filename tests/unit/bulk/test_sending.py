"""Batches and calls in flight of a run. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from publitrac_async.bulk import ErrorBudget, PublitracV2Sink, Shutdown
from publitrac_async.bulk.rows import StagedRow
from publitrac_async.bulk.sending import Sender
from publitrac_async.bulk.state.memory import NullStateStore
from publitrac_async.errors import PublitracError
from tests.support.clock import now, virtual

PAGE = 512


class Service(PublitracV2Sink):
    """A sink that lets `width` calls be in flight, each for `latency` seconds."""

    def __init__(self, latency: float, width: int, batch_size: int = 1) -> None:
        self.latency = latency
        self.width = width
        self.batch_size = batch_size
        self.batches: list[int] = []
        self.in_flight = self.most = self.longest_queue = 0

    def queue_length(self) -> int:
        return max(0, self.in_flight - self.width)

    async def send(self, contents: Sequence[object]) -> list[PublitracError | None]:
        self.batches.append(len(contents))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.longest_queue = max(self.longest_queue, self.queue_length())
        await asyncio.sleep(self.latency)
        self.in_flight -= 1
        return [None] * len(contents)


async def run(service: Service, rows: int, concurrency: int | None = None) -> float:
    async def pending(after: int) -> list[StagedRow]:
        await asyncio.sleep(0)
        return [StagedRow(number=n, key=str(n)) for n in range(after + 1, min(after + PAGE, rows) + 1)]

    started = now()
    sender = Sender(
        pending=pending, sink=service, state=NullStateStore(), error_budget=ErrorBudget(), shutdown=Shutdown()
    )
    assert await sender.send(concurrency) is None
    assert sum(service.batches) == rows
    return now() - started


@virtual
async def test_every_batch_is_full_but_the_last() -> None:
    service = Service(1.0, 5, batch_size=300)
    await run(service, 4000, concurrency=5)
    assert service.batches == [300] * 13 + [100]


@virtual
async def test_calls_in_flight_grow_to_what_the_client_allows() -> None:
    service = Service(2.0, 70)
    seconds = await run(service, 2000)
    assert 70 <= service.most <= 72
    assert seconds < 2000 / 35 + 6  # 35 a second, after some seconds of growth.


@virtual
async def test_calls_in_flight_shrink_when_the_client_allows_fewer() -> None:
    service = Service(1.0, 40)
    running = asyncio.create_task(run(service, 600))
    await asyncio.sleep(5)
    service.width = 10
    await asyncio.sleep(5)
    assert service.in_flight <= 12
    await running


@virtual
async def test_a_fixed_number_of_calls_in_flight_stays() -> None:
    service = Service(2.0, 70)
    await run(service, 100, concurrency=8)
    assert service.most == 8
