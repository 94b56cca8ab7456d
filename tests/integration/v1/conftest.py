"""A sandbox, and a client of its v1."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publitrac_async import PublitracClient
from publitrac_async.sandbox import Sandbox
from publitrac_async.v1 import V1


@contextlib.asynccontextmanager
async def emulated(**options: Any) -> AsyncIterator[tuple[V1, Sandbox]]:
    """A client and the sandbox, with these settings."""
    async with (
        Sandbox(**{"rate_limit": None} | options) as sandbox,
        PublitracClient(
            api_key=sandbox.api_key,
            username=sandbox.username,
            password=sandbox.password,
            base_url=sandbox.base_url,
            rate_limit=None,
        ) as publitrac,
    ):
        yield publitrac.v1, sandbox


@pytest.fixture
async def session() -> AsyncIterator[tuple[V1, Sandbox]]:
    async with emulated() as session:
        yield session


@pytest.fixture
def client(session: tuple[V1, Sandbox]) -> V1:
    return session[0]


@pytest.fixture
def sandbox(session: tuple[V1, Sandbox]) -> Sandbox:
    return session[1]
