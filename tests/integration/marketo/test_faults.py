"""Expired tokens, exceeded limits and lost responses, between client and sandbox."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from attrs import evolve

from publitrac_async import (
    AuthenticationError,
    OutcomeUnknown,
    PublitracError,
    QuotaExhausted,
    RateLimited,
    RetryPolicy,
    ServerError,
)
from publitrac_async.marketo import MarketoClient, codes
from publitrac_async.sandbox import Fault, Sandbox
from tests.integration.marketo.conftest import client

LEAD = {"email": "ada@example.com"}


async def test_the_token_ends_while_calls_are_made(sandbox: Sandbox, marketo: MarketoClient) -> None:
    await marketo.describe2()
    sandbox.advance(3601)  # The client's clock does not show it; the service responds with 602, then 601.
    results = await asyncio.gather(*(marketo.sync_leads([{"email": f"{n}@example.com"}]) for n in range(50)))
    assert all(each[0].ok for each in results)
    assert sandbox.journal.count(method="getToken") == 2
    assert sandbox.journal.count(method="syncLead", applied=True) == 50


async def test_a_revoked_token_is_renewed_once_for_all(sandbox: Sandbox, marketo: MarketoClient) -> None:
    sandbox.marketo.seed({"programs": [{"id": 1, "name": "P"}]})
    await marketo.describe2()
    sandbox.revoke_tokens()
    await asyncio.gather(*(marketo.push_leads([LEAD], program_name="P") for _ in range(20)))
    assert sandbox.journal.count(method="getToken") == 2
    assert sandbox.journal.count(method="pushToMarketo", applied=True) == 20
    assert len(sandbox.contents("marketo")["activities"]) == 20


async def test_a_token_with_a_second_left_is_no_loop(sandbox: Sandbox) -> None:
    async with client(sandbox) as first:
        await first.describe2()
    sandbox.advance(3598.5)
    async with client(sandbox) as second:
        for _ in range(20):
            await second.describe2()
    assert sandbox.journal.count(method="getToken") == 2


async def test_wrong_credentials_end_with_one_token_request(sandbox: Sandbox) -> None:
    async with client(sandbox, client_secret="wrong-secret") as marketo:
        with pytest.raises(AuthenticationError, match="Identity refused") as caught:
            await marketo.describe2()
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    assert sandbox.journal.count(method="getToken") == 1
    assert sandbox.journal.count(api="marketo") == 0


@pytest.mark.parametrize("fault", ["drop", "cut", "empty", "html"])
async def test_an_append_whose_response_is_lost_is_applied_once(
    sandbox: Sandbox, marketo: MarketoClient, fault: str
) -> None:
    sandbox.marketo.seed({"programs": [{"id": 1, "name": "P"}]})
    sandbox.inject(Fault(fault, match="marketo.pushToMarketo", apply=True))
    with pytest.raises(PublitracError) as caught:
        await marketo.push_leads([LEAD], program_name="P")
    assert caught.value.maybe_applied
    assert isinstance(caught.value, OutcomeUnknown) is (fault in ("drop", "cut"))
    assert sandbox.journal.count(method="pushToMarketo") == 1
    assert len(sandbox.contents("marketo")["activities"]) == 1


@pytest.mark.parametrize("action", ["createOnly", "createDuplicate"])
async def test_new_leads_whose_response_is_lost_are_created_once(
    sandbox: Sandbox, marketo: MarketoClient, action: Any
) -> None:
    sandbox.inject(Fault("drop", match="marketo.syncLead", apply=True))
    with pytest.raises(OutcomeUnknown):
        await marketo.sync_leads([LEAD], action=action)
    assert len(sandbox.contents("marketo")["leads"]) == 1


async def test_an_upsert_whose_response_is_lost_is_repeated(sandbox: Sandbox, marketo: MarketoClient) -> None:
    sandbox.inject(Fault("drop", match="marketo.syncLead", apply=True))
    (result,) = await marketo.sync_leads([LEAD])
    assert result.status == "updated"
    assert len(sandbox.contents("marketo")["leads"]) == 1


async def test_a_gateway_page_before_a_read(sandbox: Sandbox, marketo: MarketoClient) -> None:
    sandbox.inject(Fault("html", match="marketo", status=502))
    sandbox.inject(Fault("html", match="marketo"))
    assert (await marketo.describe2()).name == "API Lead"
    assert sandbox.journal.count(method="describe2") == 3
    sandbox.inject(Fault("html", match="marketo", status=502, times=None))
    with pytest.raises(ServerError):
        await marketo.describe2()


async def test_606_pauses_and_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pause is 20 seconds, too long for this test to wait.
    monkeypatch.setitem(codes.CODES, "606", evolve(codes.CODES["606"], pause=0.01))
    async with Sandbox(marketo_rate_limit=5) as sandbox, client(sandbox) as marketo:
        for _ in range(5):
            await marketo.describe2()
        with pytest.raises(RateLimited) as caught:
            await marketo.sync_leads([LEAD])
        assert caught.value.code == "606"
        assert not caught.value.maybe_applied
        assert sandbox.contents("marketo")["leads"] == []
        assert sandbox.journal.count(method="syncLead") == 4


async def test_615_narrows_until_the_calls_fit() -> None:
    async with Sandbox(marketo_rate_limit=None, marketo_concurrency=2) as sandbox:
        sandbox.inject(Fault("delay", match="marketo", times=None, seconds=0.01))
        # Calls that retry immediately may collide again and again; calls that wait a random time do not.
        patient = RetryPolicy(attempts=10, base=0.05, throttle_base=0.05, budget=10_000)
        async with client(sandbox, retry=patient) as marketo:
            await asyncio.gather(*(marketo.sync_leads([{"email": f"{n}@example.com"}]) for n in range(30)))
            assert marketo._transport.gate.width <= 3
        assert len(sandbox.contents("marketo")["leads"]) == 30


async def test_the_quota_of_the_day() -> None:
    async with Sandbox(marketo_daily_quota=1) as sandbox, client(sandbox) as marketo:
        await marketo.describe2()
        with pytest.raises(QuotaExhausted) as caught:
            await marketo.describe2()
        assert caught.value.retry_after is not None
        assert sandbox.journal.count(method="describe2") == 2


async def test_no_secret_and_no_person_is_in_any_log(
    sandbox: Sandbox, marketo: MarketoClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await marketo.sync_leads([LEAD])
    pager = marketo.get_leads_by_filter_type("email", ["ada@example.com"])
    (lead,) = (await pager).items
    with pytest.raises(PublitracError):
        await marketo.associate_lead(lead.id, "id:ada&token:secret-cookie")
    token = (await marketo._token.token()).value.reveal()
    for secret in (
        "ada@example.com",
        "secret-cookie",
        token,
        sandbox.settings.marketo_client_id,
        sandbox.settings.marketo_client_secret,
    ):
        assert secret not in caplog.text
    assert "publitrac_async" in {record.name for record in caplog.records}


async def test_closing_leaves_nothing_behind(sandbox: Sandbox) -> None:
    marketo = client(sandbox)
    await marketo.describe2()
    await marketo.aclose()
    await marketo.aclose()
    with pytest.raises(PublitracError, match="closed"):
        await marketo.describe2()
