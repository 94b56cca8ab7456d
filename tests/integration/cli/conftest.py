"""A sandbox with credentials of its own, and commands that run beside it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from publitrac_async.sandbox import Sandbox
from tests.integration.cli.test_command_line import CANARIES, run, secrets

Beside = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    key, user, password = CANARIES
    async with Sandbox(
        rate_limit=None, processing_delay=0, api_key=key, username=user, password=password
    ) as sandbox:
        yield sandbox


@pytest.fixture
def beside(sandbox: Sandbox) -> Beside:
    async def run_beside(*arguments: object) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(run, *arguments, **secrets(), PUBLITRAC_BASE_URL=sandbox.base_url)

    return run_beside
