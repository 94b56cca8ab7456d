"""Deadlines work as `asyncio.timeout` does; watchdogs end silences. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from publitrac_async.transport.deadline import Alarms, Deadline, Watchdog
from tests.support.clock import now, virtual


@virtual
async def test_the_time_is_up() -> None:
    started = now()
    with pytest.raises(TimeoutError), Deadline(3.0) as deadline:
        await asyncio.sleep(10.0)
    assert deadline.expired
    assert now() == pytest.approx(started + 3.0)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # there is one
    await asyncio.sleep(1.0)  # No timer is left that would cancel.


@pytest.mark.parametrize("seconds", [5.0, None])
@virtual
async def test_work_done_in_time_is_not_cancelled(seconds: float | None) -> None:
    with Deadline(seconds) as deadline:
        await asyncio.sleep(3.0)
    await asyncio.sleep(10.0)
    assert not deadline.expired


@virtual
async def test_it_can_be_now() -> None:
    started = now()
    deadline = Deadline(None)
    for _ in range(2):
        asyncio.get_running_loop().call_later(2.0, deadline.expire)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.sleep(10.0)
    assert now() == pytest.approx(started + 2.0)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize("cancelled_at", [2.0, 3.0])
@virtual
async def test_the_cancellation_of_others_stays_one(cancelled_at: float) -> None:
    """Even in the same moment in which the deadline expires."""

    async def work() -> None:
        with Deadline(3.0):
            await asyncio.sleep(10.0)

    task = asyncio.create_task(work())
    asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + cancelled_at, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@virtual
async def test_an_earlier_cancellation_does_not_count() -> None:
    """A task that is being cancelled makes a last call."""
    started = now()

    async def work() -> str:
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError), Deadline(3.0):
                await asyncio.sleep(10.0)
            return "told in time"
        return "not cancelled"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "told in time"
    assert now() == pytest.approx(started + 3.0)


async def _cancelled_into(error: Exception) -> None:
    try:
        await asyncio.sleep(10.0)
    except asyncio.CancelledError:
        raise error from None


@virtual
async def test_errors_pass_through() -> None:
    with pytest.raises(TimeoutError, match="of somebody else"), Deadline(3.0) as deadline:
        raise TimeoutError("of somebody else")
    assert not deadline.expired
    with pytest.raises(KeyError), Deadline(3.0):
        await _cancelled_into(KeyError())
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # there is one


@virtual
async def test_the_shorter_of_two_ends_first() -> None:
    with Deadline(5.0) as longer:
        with pytest.raises(TimeoutError), Deadline(3.0):
            await asyncio.sleep(10.0)
        await asyncio.sleep(1.0)
    assert not longer.expired


def test_it_needs_a_task() -> None:
    failed: list[RuntimeError] = []

    def outside() -> None:
        try:
            Deadline(1.0)
        except RuntimeError as error:
            failed.append(error)

    loop = asyncio.new_event_loop()
    loop.call_soon(outside)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert len(failed) == 1


@virtual
async def test_deadlines_that_share_alarms_end_each_at_its_own_time() -> None:
    alarms, started = Alarms(), now()
    ended: list[tuple[float, float]] = []

    async def work(seconds: float, queue: float | None) -> None:
        with (
            contextlib.suppress(TimeoutError),
            Deadline(seconds, queue, queued=True, alarms=alarms) as deadline,
        ):
            await asyncio.sleep(1.0)
            deadline.leave_queue()
            await asyncio.sleep(20.0)
        ended.append((seconds, now() - started))

    async with asyncio.TaskGroup() as group:
        for seconds, queue in ((9.0, None), (3.0, None), (6.0, 2.0), (30.0, 0.5)):
            group.create_task(work(seconds, queue))
    assert ended == [
        (30.0, pytest.approx(0.5)),
        (3.0, pytest.approx(4.0)),
        (6.0, pytest.approx(7.0)),
        (9.0, pytest.approx(10.0)),
    ]


class Watched:
    """A watchdog and the end that it detected."""

    def __init__(self, seconds: float | None) -> None:
        self.expired_at: list[float] = []
        self.moving: list[bool] = []
        self.started = now()
        self.watchdog = Watchdog(self.is_moving, lambda: self.expired_at.append(now() - self.started))
        self.seconds = seconds

    def start(self) -> None:
        self.watchdog.start(self.seconds)

    def is_moving(self) -> bool:
        return bool(self.moving) and self.moving.pop(0)


@virtual
async def test_a_silence_ends_after_its_seconds() -> None:
    watched = Watched(3.0)
    watched.start()
    await asyncio.sleep(10.0)
    assert watched.expired_at == [pytest.approx(3.0)]


@virtual
async def test_progress_restarts_the_watchdog() -> None:
    watched = Watched(3.0)
    watched.start()
    for _ in range(5):
        await asyncio.sleep(2.0)
        watched.watchdog.moved()
    await asyncio.sleep(10.0)
    assert watched.expired_at == [pytest.approx(13.0)]


@virtual
async def test_bytes_on_their_way_are_no_silence() -> None:
    watched = Watched(3.0)
    watched.moving = [True, True, False]
    watched.start()
    await asyncio.sleep(20.0)
    assert watched.expired_at == [pytest.approx(9.0)]


@virtual
async def test_bytes_that_the_loop_has_just_read_are_progress() -> None:
    watched, loop = Watched(3.0), asyncio.get_running_loop()
    loop.call_later(3.0, loop.call_soon, watched.watchdog.moved)
    watched.start()
    await asyncio.sleep(10.0)
    assert watched.expired_at == [pytest.approx(6.0)]


@pytest.mark.parametrize("seconds", [3.0, None])
@virtual
async def test_a_watchdog_that_is_stopped_stays_quiet(seconds: float | None) -> None:
    watched = Watched(seconds)
    watched.start()
    await asyncio.sleep(2.0)
    watched.watchdog.stop()
    await asyncio.sleep(10.0)
    assert watched.expired_at == []
