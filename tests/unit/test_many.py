"""Thousands of leads as one call."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from publitrac_async import (
    ClientStateError,
    ConfigurationError,
    Lead,
    LeadOutcome,
    PublitracClient,
    RetryPolicy,
    ServerError,
    ValidationError,
    WindowLimiter,
)
from tests.support.clock import now, virtual


class Service:
    """v1 and v2 that respond slowly and refuse some leads."""

    def __init__(self, seconds: float = 0.4) -> None:
        self.seconds = seconds
        self.seen: list[str] = []
        self.under_way: dict[str, int] = defaultdict(int)
        self.collisions = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("getToken"):
            return httpx.Response(200, json={"status": "success", "code": 200, "token": "t", "ttl": 900})
        v2 = "delayedSync" in request.url.path
        email = json.loads(request.content)["leadInfo"]["email"] if v2 else request.content.decode()
        self.seen.append(email)
        self.collisions += self.under_way[email.lower()] > 0
        self.under_way[email.lower()] += 1
        try:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.seconds)
        finally:
            self.under_way[email.lower()] -= 1
        if "bad" in email:
            return httpx.Response(503)
        if v2:
            return httpx.Response(200, json={"status": "success", "code": 202})
        return httpx.Response(200, content=b"<response><status>2001</status></response>")

    @property
    def busy(self) -> int:
        return sum(self.under_way.values())


def opened(service: Service, **options: Any) -> PublitracClient:
    settings = {"limiter": WindowLimiter(35, clock=now), "retry": RetryPolicy(attempts=1)}
    client = PublitracClient(
        api_key="k", username="u", password="p", transport=httpx.MockTransport(service), **settings | options
    )
    client._transport.gate._clock = now  # type: ignore[attr-defined]  # it is the adaptive one
    return client


def leads(count: int) -> list[Lead]:
    return [Lead(email=f"lead{number}@example.com") for number in range(count)]


@pytest.mark.parametrize("api", ["v1", "v2"])
@virtual
async def test_every_lead_has_its_outcome_at_the_pace_of_the_limit(api: str) -> None:
    service, started = Service(), now()
    async with opened(service) as publitrac:
        many = (
            publitrac.v1.sync_lead_many(leads(700))
            if api == "v1"
            else publitrac.v2.delayed_sync_many(leads(700))
        )
        outcomes: list[LeadOutcome[Any]] = [outcome async for outcome in many]
    assert sorted(outcome.position for outcome in outcomes) == list(range(700))
    assert all(outcome.ok for outcome in outcomes)
    assert all(outcome.lead.email == f"lead{outcome.position}@example.com" for outcome in outcomes)
    assert len(service.seen) == 700
    assert 700 / (now() - started) >= 0.9 * 35


@virtual
async def test_an_error_is_the_outcome_of_its_lead_alone() -> None:
    given = leads(30)
    given[7], given[9] = Lead(email="bad@example.com"), Lead(email="nowhere")
    async with opened(Service()) as publitrac:
        outcomes = {each.position: each async for each in publitrac.v2.delayed_sync_many(given)}
    assert {position for position, outcome in outcomes.items() if not outcome.ok} == {7, 9}
    assert isinstance(outcomes[7].error, ServerError)
    assert isinstance(outcomes[9].error, ValidationError)
    assert outcomes[7].result is None
    assert outcomes[8].result is not None
    assert "lead8" not in repr(outcomes[8])


@virtual
async def test_leads_of_one_address_keep_their_order_and_hold_up_no_others() -> None:
    service, started = Service(seconds=2.0), now()
    given = [Lead(email="same@example.com", score=n) for n in range(5)] + leads(100)
    random.Random(7).shuffle(given)
    given[3] = Lead(email="Same@Example.com")
    async with opened(service) as publitrac:
        ended = [
            outcome.position
            async for outcome in publitrac.v1.sync_lead_many(given)
            if str(outcome.lead.email).lower() == "same@example.com"
        ]
    assert service.collisions == 0
    assert ended == sorted(ended)
    assert len(service.seen) == 105
    assert now() - started < 6 * 3 + 3


@virtual
async def test_memory_is_bounded_when_the_source_is_endless_or_the_caller_slow() -> None:
    taken = 0

    def endless() -> Iterator[Lead]:
        nonlocal taken
        while True:
            taken += 1
            yield Lead(email=f"lead{taken}@example.com")

    async with opened(Service()) as publitrac:
        many = publitrac.v2.delayed_sync_many(endless())
        for seen in range(1, 20):
            await anext(many)
            await asyncio.sleep(100)
            assert taken <= seen + 258
        await many.aclose()


@virtual
async def test_an_asynchronous_source_and_its_error_after_the_outcomes_before_it() -> None:
    async def source() -> AsyncIterator[Lead]:
        for lead in leads(10):
            yield lead
            await asyncio.sleep(0.01)
        raise OSError("the database is away")

    async with opened(Service()) as publitrac:
        many = publitrac.v2.delayed_sync_many(source())
        outcomes = [await anext(many) for _ in range(10)]
        with pytest.raises(OSError, match="away"):
            await anext(many)
    assert sorted(outcome.position for outcome in outcomes) == list(range(10))


@virtual
async def test_leaving_the_loop_cancels_what_is_in_flight() -> None:
    service = Service(seconds=20.0)
    async with opened(service) as publitrac:
        for _ in range(3):
            async for _outcome in publitrac.v2.delayed_sync_many(leads(1000)):
                break
            gc.collect()
            for _ in range(20):
                await asyncio.sleep(0)
            assert service.busy == 0
        assert publitrac.in_flight == publitrac.queued == 0


@virtual
async def test_cancelling_a_caller_cancels_what_is_in_flight_also_after_the_last_lead() -> None:
    service = Service(seconds=20.0)
    async with opened(service) as publitrac:

        async def drain() -> None:
            async for _outcome in publitrac.v2.delayed_sync_many(leads(5)):
                pass

        task = asyncio.create_task(drain())
        await asyncio.sleep(5)
        assert service.busy == 5
        task.cancel()
        await asyncio.wait([task])
        assert service.busy == 0
        assert publitrac.in_flight == publitrac.queued == 0


@virtual
async def test_a_client_that_is_closed_or_unfit_ends_it() -> None:
    publitrac = opened(Service(seconds=20.0))
    many = publitrac.v2.delayed_sync_many(leads(100))
    first = asyncio.ensure_future(anext(many))
    await asyncio.sleep(1)
    await publitrac.aclose()
    with pytest.raises(ClientStateError):
        await first
    await many.aclose()
    without = PublitracClient(api_key="k", transport=httpx.MockTransport(Service()))
    with pytest.raises(ConfigurationError):
        await anext(without.v1.sync_lead_many(leads(3)))


@virtual
async def test_no_outcomes_for_no_leads() -> None:
    async with opened(Service()) as publitrac:
        assert [outcome async for outcome in publitrac.v2.delayed_sync_many([])] == []
