"""Batches and calls in flight of a run. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import pytest

from publitrac_async.bulk import ErrorBudget, Outcome, PublitracV2Sink, Shutdown, State
from publitrac_async.bulk.rows import StagedRow
from publitrac_async.bulk.sending import STOPPED_ELSEWHERE, Sender
from publitrac_async.bulk.sinks.base import CallJournal
from publitrac_async.bulk.sinks.halving import Halver
from publitrac_async.bulk.state.memory import NullStateStore
from publitrac_async.errors import PublitracError, ServerError
from tests.support.clock import now, virtual

PAGE = 512


class Journal(NullStateStore):
    """A state store that keeps the state of every row, and the rows that were being sent at each call."""

    def __init__(self, *, stop_after: int = 1000) -> None:
        self.states: dict[str, State] = {}
        self._begins_left = stop_after

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        self._begins_left -= 1
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        future.set_result(self._begins_left >= 0)
        if self._begins_left >= 0:
            self.states |= dict.fromkeys(keys, State.SENDING)
        return future

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        self.states |= {key: outcome.state for key, outcome in leads}
        return super().complete(leads)

    def rows(self, state: State) -> list[int]:
        return sorted(int(key) for key, each in self.states.items() if each is state)


class Halving(PublitracV2Sink):
    """A sink that halves calls with bad rows, and lets a test inspect each call."""

    success_state = State.OK
    batch_size = 300
    idempotent = False

    def __init__(self, bad: set[int], look: Callable[[list[int]], None] = lambda _: None) -> None:
        self.bad = bad
        self.look = look
        self._halver = Halver(self.call, idempotent=False)

    async def call(self, contents: Sequence[int]) -> list[PublitracError | None]:
        self.look(list(contents))
        await asyncio.sleep(1)
        if self.bad & set(contents):
            raise ServerError("the request took too long", code="604", retryable=True)
        return [None] * len(contents)

    async def send_in_parts(
        self, contents: Sequence[int], journal: CallJournal
    ) -> Sequence[PublitracError | None]:
        return await self._halver.send(contents, [(0, len(contents))], journal=journal)


def sender(sink: Halving, state: Journal, noted: dict[int, Outcome], rows: int = 300) -> Sender:
    async def pending(after: int) -> list[StagedRow]:
        return [StagedRow(number=n, key=str(n), content=n) for n in range(after + 1, rows + 1)]

    return Sender(
        pending=pending,
        sink=sink,
        state=state,
        error_budget=ErrorBudget(),
        shutdown=Shutdown(),
        note=noted.update,
    )


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
async def test_calls_in_flight_grow_to_the_limit_of_the_client() -> None:
    service = Service(2.0, 70)
    seconds = await run(service, 2000)
    assert 70 <= service.most <= 72
    assert seconds < 2000 / 35 + 6  # 35 per second, after some seconds of growth.


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


@virtual
async def test_only_the_rows_of_the_call_in_flight_are_being_sent_while_a_batch_is_halved() -> None:
    state, noted = Journal(), dict[int, Outcome]()
    accepted: set[int] = set()

    def look(contents: list[int]) -> None:
        assert state.rows(State.SENDING) == contents
        assert set(state.rows(State.OK)) == accepted
        assert not state.rows(State.UNKNOWN)
        if 137 not in contents:
            accepted.update(contents)

    assert await sender(Halving({137}, look), state, noted).send(1) is None
    assert state.rows(State.OK) == [n for n in range(1, 301) if n != 137]
    assert state.rows(State.REJECTED) == [137]
    assert {number: each.state for number, each in noted.items()} == {
        int(key): each for key, each in state.states.items()
    }


@virtual
async def test_a_run_that_is_cancelled_while_a_batch_is_halved_knows_the_rows_in_flight() -> None:
    for calls in range(12):
        state, noted, seen = Journal(), dict[int, Outcome](), list[list[int]]()
        running = asyncio.create_task(sender(Halving({137}, seen.append), state, noted).send(1))
        await asyncio.sleep(calls + 0.5)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert state.rows(State.UNKNOWN) == seen[-1]
        passed = {number for call in seen[:-1] if 137 not in call for number in call}
        assert set(state.rows(State.OK)) == passed
        assert len(noted) == 300
        assert sum(each.state is State.RETRY for each in noted.values()) == 300 - len(seen[-1]) - len(passed)


@virtual
async def test_a_run_that_another_process_stops_while_a_batch_is_halved_keeps_its_outcomes() -> None:
    state, noted, seen = Journal(stop_after=3), dict[int, Outcome](), list[list[int]]()
    assert await sender(Halving({200}, seen.append), state, noted).send(1) == STOPPED_ELSEWHERE
    assert [len(call) for call in seen] == [300, 150, 150]
    assert state.rows(State.OK) == [*range(1, 151)]
    assert not state.rows(State.SENDING)
    assert {noted[number].state for number in range(151, 301)} == {State.RETRY}


class Slow(Journal):
    """A state store that takes ten seconds to make an outcome durable."""

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        super().complete(leads)
        return asyncio.ensure_future(asyncio.sleep(10))


@virtual
async def test_a_call_starts_after_the_outcome_of_the_last_one_is_durable() -> None:
    started: list[float] = []
    sink = Halving(set(), lambda _: started.append(now()))
    sink.batch_size = 100
    begun = now()
    await sender(sink, Slow(), {}).send(1)
    assert [at - begun for at in started] == pytest.approx([0, 11, 22], abs=1e-3)
    assert now() - begun == pytest.approx(33, abs=1e-3)  # The run ends after its last outcome is durable.
