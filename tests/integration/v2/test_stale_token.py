"""The documents show no response to an expired token: every plausible one causes one token request."""

from __future__ import annotations

import asyncio

import pytest

from publitrac_async import Lead, PublitracClient
from publitrac_async.sandbox import Sandbox


@pytest.mark.parametrize("response", ["401", "403", "200"])
@pytest.mark.parametrize("how", ["expired", "revoked"])
@pytest.mark.fault("F19")
async def test_a_stale_token_is_renewed_once_for_all(response: str, how: str) -> None:
    async with (
        Sandbox(rate_limit=None, expired_token_response=response) as sandbox,
        PublitracClient(api_key=sandbox.api_key, base_url=sandbox.base_url, rate_limit=None) as publitrac,
    ):
        await publitrac.v2.delayed_sync(Lead(email="ada@example.com"))
        if how == "expired":
            sandbox.advance(901)  # Only the service's clock moves: the client learns of it from the response.
        else:
            sandbox.revoke_tokens()
        await asyncio.gather(
            *(publitrac.v2.delayed_sync(Lead(email=f"lead{number}@example.com")) for number in range(40))
        )
        assert sandbox.journal.count(method="getToken") == 2
        sandbox.process_now()
        assert len(sandbox.leads()) == 41
