"""Calls that a program gathers keep to the limits of an instance: 10 in flight, 100 in 20 seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import PermissionDenied, Rate
from publitrac_async.shared.file import SharedFile
from publitrac_async.transport.limits import WindowLimiter
from tests.support.clock import now, virtual
from tests.support.marketo import PATIENT, SECRET, Sent, refused, result, serving


class Slow:
    """Takes a second, or the given time, for each call, and counts the calls in flight."""

    def __init__(self, seconds: float = 1) -> None:
        self.seconds = seconds
        self.running = self.most = 0

    async def __call__(self, sent: Sent) -> dict[str, Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        return result(*({"id": 1, "status": "updated"} for _ in sent.json["input"]))


@virtual
async def test_gathered_batches_are_ten_at_once_and_a_hundred_in_twenty_seconds() -> None:
    slow = Slow()
    limiter = WindowLimiter(Rate(100, per=20), clock=now)
    async with serving(slow, concurrency=10, limiter=limiter, timeout=None) as (marketo, service):
        batches = [[{"email": f"{batch}-{number}@x.com"} for number in range(3)] for batch in range(130)]
        done = await asyncio.gather(*(marketo.sync_leads(batch) for batch in batches))
    assert all(each.ok for results in done for each in results)
    assert slow.most == 10
    times = sorted(sent.at for sent in service.sent)
    assert len(times) == 130
    assert all(later - earlier >= 20 for earlier, later in zip(times, times[100:], strict=False))


async def in_20_seconds(seconds: float, **options: Any) -> tuple[int, int]:
    """Return the most calls in flight, and the calls sent from the 20th to the 40th second."""
    slow = Slow(seconds)
    limiter = WindowLimiter(Rate(100, per=20), clock=now)
    async with serving(slow, limiter=limiter, timeout=None, **options) as (marketo, service):
        started = now()
        calls = [asyncio.create_task(marketo.sync_leads([{"email": f"{n}@x.com"}])) for n in range(250)]
        await asyncio.sleep(40.5)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    return slow.most, sum(20 <= sent.at - started < 40 for sent in service.sent)


@virtual
async def test_the_calls_in_flight_follow_the_latency_up_to_ten() -> None:
    for seconds, most, calls in ((0.3, 5, 95), (1.0, 8, 95), (1.8, 10, 95), (8.0, 10, 20)):
        in_flight, sent = await in_20_seconds(seconds)
        assert in_flight <= most
        assert sent >= calls


@virtual
async def test_615_reduces_calls_in_flight_that_follow_the_latency() -> None:
    inside = most = 0

    async def reply(_: Sent) -> Any:
        nonlocal inside, most
        if inside >= 3:
            return refused("615")
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(4)
        inside -= 1
        return result({"id": 1, "status": "updated"})

    limiter = WindowLimiter(Rate(100, per=20), clock=now)
    async with serving(reply, limiter=limiter, timeout=None, retry=PATIENT) as (marketo, service):
        done = await asyncio.gather(*(marketo.sync_leads([{"email": f"{n}@x.com"}]) for n in range(40)))
        assert marketo._transport.gate.width < 6
    assert all(results[0].ok for results in done)
    assert len(service.sent) < 60


@pytest.mark.parametrize("seconds", [0.5, 6])
def test_processes_that_share_a_file_are_ten_at_once_and_a_hundred_in_twenty_seconds(
    tmp_path: Path, seconds: float
) -> None:
    @virtual
    async def main() -> None:
        slow = Slow(seconds)

        def client() -> Any:
            shared = SharedFile(
                tmp_path / "limit", account=SECRET, rate_limit=Rate(100, per=20), in_flight=10, clock=now
            )
            return serving(slow, limiter=shared.limiter, timeout=None)

        async with client() as (one, first), client() as (two, second), client() as (three, third):
            calls = [
                each.sync_leads([{"email": f"{n}@x.com"}]) for each in (one, two, three) for n in range(40)
            ]
            done = await asyncio.gather(*calls)
        assert all(results[0].ok for results in done)
        assert slow.most <= 10
        assert slow.most == 10 or seconds < 2
        times = sorted(sent.at for service in (first, second, third) for sent in service.sent)
        assert len(times) == 120
        assert all(later - earlier >= 20 for earlier, later in zip(times, times[100:], strict=False))

    main()


@virtual
async def test_a_call_that_is_cancelled_or_fails_returns_its_slot(tmp_path: Path) -> None:
    shared = SharedFile(
        tmp_path / "limit", account=SECRET, rate_limit=Rate(100, per=20), in_flight=2, clock=now
    )
    replies: list[Any] = [Slow(60), Slow(60), refused("603"), result({"id": 1, "status": "updated"})]
    async with serving(*replies, limiter=shared.limiter, timeout=None) as (marketo, service):
        calls = [asyncio.create_task(marketo.sync_leads([{"email": f"{n}@x.com"}])) for n in range(4)]
        await asyncio.sleep(5)
        assert len(service.sent) == 2
        for call in (calls[0], calls[3]):  # One is in flight, the other waits for a slot.
            call.cancel()
        await asyncio.sleep(5)
        calls[1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert type(calls[2].exception()) is PermissionDenied
        for _ in range(5):
            await marketo.sync_leads([{"email": "a@x.com"}])


@virtual
async def test_clients_of_one_instance_share_a_limiter() -> None:
    limiter = WindowLimiter(Rate(100, per=20), clock=now)
    done = result({"id": 1, "status": "updated"})
    async with (
        serving(done, limiter=limiter, timeout=None) as (one, first),
        serving(done, limiter=limiter, timeout=None) as (other, second),
    ):
        calls = [client.sync_leads([{"email": "a@x.com"}]) for _ in range(60) for client in (one, other)]
        await asyncio.gather(*calls)
    times = sorted(sent.at for sent in first.sent + second.sent)
    assert len(times) == 120
    assert all(later - earlier >= 20 for earlier, later in zip(times, times[100:], strict=False))
