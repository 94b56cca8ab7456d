from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from publitrac_async.sandbox import Sandbox
from publitrac_async.vitec import VitecClient
from tests.support.vitec_clients import client


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def vitec(sandbox: Sandbox) -> AsyncIterator[VitecClient]:
    async with client(sandbox.base_url) as vitec:
        yield vitec
