"""A sandbox with its own credentials, and commands that run beside it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from publitrac_async.sandbox import Sandbox
from tests.support.command_line import CANARIES, run_beside

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
    return functools.partial(run_beside, sandbox)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.csv"
    path.write_text(
        "email,firstName\na@example.com,Åsa\nnot-an-address,Bo\nb@example.com,Eva\n", encoding="utf-8"
    )
    return path
