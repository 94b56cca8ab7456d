"""Calls that a program gathers keep to the limits of an instance: 10 in flight, 100 in 20 seconds."""

from __future__ import annotations

import asyncio
from typing import Any

from publitrac_async import Rate
from publitrac_async.transport.limits import WindowLimiter
from tests.support.clock import now, virtual
from tests.support.marketo import Sent, result, serving


class Slow:
    """Takes a second for each call, and knows how many are under way."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def __call__(self, sent: Sent) -> dict[str, Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(1)
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
