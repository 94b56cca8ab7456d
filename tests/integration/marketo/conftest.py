from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async.marketo import MarketoClient
from publitrac_async.sandbox import Sandbox
from tests.support.clients import EAGER


def client(sandbox: Sandbox, **options: Any) -> MarketoClient:
    """A client of the sandbox without a rate limit that retries immediately."""
    settings: dict[str, Any] = {
        "base_url": sandbox.base_url,
        "client_id": sandbox.settings.marketo_client_id,
        "client_secret": sandbox.settings.marketo_client_secret,
        "rate_limit": None,
        "retry": EAGER,
    }
    return MarketoClient(**settings | options)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(marketo_rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
async def marketo(sandbox: Sandbox) -> AsyncIterator[MarketoClient]:
    async with client(sandbox) as marketo:
        yield marketo
