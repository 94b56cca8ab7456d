from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, Lead, PublitracClient
from publitrac_async.bulk import (
    CallMeter,
    Monitor,
    PublitracV1Sink,
    Report,
    Shutdown,
    Verify,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.verify import differing_fields
from publitrac_async.sandbox import Fault, Sandbox
from tests.support.clients import opened
from tests.support.sinks import RecordingSink, rows

EXAMPLE = Path(__file__).parents[3] / "examples" / "leads.csv"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(rate_limit=None, processing_delay=0) as sandbox:
        yield sandbox


@pytest.fixture
async def publitrac(sandbox: Sandbox) -> AsyncIterator[PublitracClient]:
    async with opened(
        sandbox.base_url, api_key=sandbox.api_key, username=sandbox.username, password=sandbox.password
    ) as publitrac:
        yield publitrac


def verify(publitrac: PublitracClient, **options: Any) -> Verify:
    return Verify(v1=publitrac.v1, **{"rate_limit": 1000, "timeout": 0} | options)


def accounted(report: Report) -> Report:
    assert sum(report.counts.values()) == report.rows
    return report


@pytest.mark.parametrize("via", ["v1", "v2"])
async def test_the_example_arrives_as_it_was_sent(
    sandbox: Sandbox, publitrac: PublitracClient, via: str
) -> None:
    sink = publitrac.v1 if via == "v1" else publitrac.v2
    report = accounted(await sync_leads(read_leads(EXAMPLE), sink, verify=verify(publitrac)))
    assert (report.rows, report.rejected, report.duplicates) == (1000, 3, 2)
    assert (report.ok if via == "v1" else report.accepted) == 995
    assert report.verification is not None
    assert (report.verification.checked, report.verification.processed) == (995, 995)
    assert report.verification.read == 995
    # Ten pages of 100, not 995 calls.
    assert sandbox.journal.count(method="getLeads") == 10
    moved = sandbox.lead("lead.0033+crm@example.com")
    assert moved is not None
    assert moved["phone"] == "+46 31 901 901"


async def test_few_leads_of_many_are_looked_up_one_by_one(
    sandbox: Sandbox, publitrac: PublitracClient
) -> None:
    sandbox.seed(leads=[{"email": f"old{number}@example.com"} for number in range(1000)])
    report = await sync_leads(rows(5), publitrac.v2, verify=verify(publitrac))
    assert report.verification is not None
    assert report.verification.processed == 5
    assert sandbox.journal.count(method="getLead") == 5
    assert sandbox.journal.count(method="getLeads") == 1


async def test_missing_and_different_leads_are_named(publitrac: PublitracClient, sandbox: Sandbox) -> None:
    class Forgetful(PublitracV1Sink):
        async def _send(self, lead: Lead) -> None:
            if lead.email == "lead1@example.com":
                return
            if lead.email == "lead2@example.com":
                lead = Lead(email=lead.email, city="Malmö", custom_fields={"carColor": "Red"})
            await super()._send(lead)

    source = rows(4, city="Lund", carColor="Blue", leadSource="never returned")
    report = await sync_leads(source, Forgetful(publitrac.v1), verify=verify(publitrac))
    found = report.verification
    assert found is not None
    assert (found.checked, found.processed, found.differs, found.missing) == (4, 2, 1, 1)
    assert [(each.line, each.fields) for each in found.deviations] == [(2, ()), (3, ("city", "carColor"))]


async def test_leads_get_their_time_to_arrive() -> None:
    async with (
        Sandbox(rate_limit=None, processing_delay=0.3) as sandbox,
        opened(
            sandbox.base_url, api_key=sandbox.api_key, username=sandbox.username, password=sandbox.password
        ) as publitrac,
    ):
        report = await sync_leads(rows(150), publitrac.v2, verify=verify(publitrac, timeout=20))
        assert report.verification is not None
        assert report.verification.processed == 150


async def test_the_wait_is_bounded() -> None:
    async with (
        Sandbox(rate_limit=None, processing_delay=3600) as sandbox,
        opened(
            sandbox.base_url, api_key=sandbox.api_key, username=sandbox.username, password=sandbox.password
        ) as publitrac,
    ):
        report = await sync_leads(rows(3), publitrac.v2, verify=verify(publitrac, timeout=0.6))
        assert report.verification is not None
        assert (report.verification.missing, report.verification.stopped) == (3, None)
        assert sandbox.journal.count(api="v1") <= 8


async def test_reading_back_keeps_to_its_share() -> None:
    async with Sandbox(rate_limit=None, processing_delay=0) as sandbox:
        sandbox.seed(leads=[{"email": f"old{number}@example.com"} for number in range(5000)])
        meter = CallMeter()
        async with opened(
            sandbox.base_url,
            api_key=sandbox.api_key,
            username=sandbox.username,
            password=sandbox.password,
            hooks=[meter],
        ) as publitrac:
            settings = verify(publitrac, rate_limit=25)
            await sync_leads(rows(30), publitrac.v2, verify=settings, monitor=Monitor(call_meter=meter))
        assert sandbox.journal.count(api="v1") == 31
        assert sandbox.journal.busiest_second("v1") <= 27


async def test_an_error_ends_the_reading_and_keeps_the_account(
    sandbox: Sandbox, publitrac: PublitracClient
) -> None:
    sandbox.inject(Fault("status", match="v1", status=403, times=None))
    report = accounted(await sync_leads(rows(3), publitrac.v2, verify=verify(publitrac)))
    assert report.accepted == 3
    assert report.verification is not None
    assert report.verification.stopped is not None
    assert report.verification.stopped.startswith("PermissionDenied: ")
    assert report.verification.missing == 3


async def test_reading_back_can_be_interrupted(sandbox: Sandbox, publitrac: PublitracClient) -> None:
    sandbox.inject(Fault("delay", match="v1", seconds=60, times=None))
    shutdown = Shutdown()
    task = asyncio.create_task(sync_leads(rows(3), publitrac.v2, verify=verify(publitrac), shutdown=shutdown))
    while not sandbox.journal.count(api="v1"):
        await asyncio.sleep(0.01)
    shutdown.request()
    report = accounted(await task)
    assert report.verification is not None
    assert report.verification.stopped == "interrupted"


async def test_only_leads_of_publitrac_can_be_verified(sandbox: Sandbox, publitrac: PublitracClient) -> None:
    sandbox.seed(leads=rows(1))
    with pytest.raises(ConfigurationError):
        verify(publitrac, rate_limit=0)

    sink = RecordingSink()
    with pytest.raises(ConfigurationError, match="verify reads leads back from PUBLITRAC"):
        await sync_leads(rows(1), sink, verify=verify(publitrac))
    assert not sink.arrived


@pytest.mark.parametrize(
    ("sent", "found", "differing"),
    [
        (Lead(email="A@example.com"), Lead(email="a@example.com"), ()),
        (Lead(city=None), Lead(), ()),
        (Lead(city=""), Lead(city=None), ()),
        (Lead(notes="a\r\nb "), Lead(notes="a\nb"), ()),
        (Lead(date_of_birth=dt.date(2000, 1, 2)), Lead(date_of_birth=dt.datetime(2000, 1, 2)), ()),  # noqa: DTZ001
        (Lead(date_of_birth=dt.date(2000, 1, 2)), Lead(date_of_birth=dt.date(2000, 1, 3)), ("dateOfBirth",)),
        (Lead(is_customer=True), Lead(is_customer=False), ("isCustomer",)),
        (Lead(score=5), Lead(), ("score",)),
        (Lead(custom_fields={"n": 5}), Lead(custom_fields={"n": "5", "m": "6"}), ()),
        (Lead(custom_fields={"n": 5}), Lead(), ("n",)),
        (Lead(city="Lund"), Lead(city="Lund", phone="1"), ()),
        (Lead(lead_source="x", unsubscribe_reason="y"), Lead(), ()),
    ],
)
def test_only_differences_in_meaning_count(sent: Lead, found: Lead, differing: tuple[str, ...]) -> None:
    assert differing_fields(sent, found) == differing
