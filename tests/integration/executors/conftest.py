from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from publitrac_async.sandbox import Sandbox
from tests.integration.shared.conftest import one_server, server  # noqa: F401  (fixtures)
from tests.support.executor_setups import Setup
from tests.support.redis_server import Server


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(rate_limit=None, processing_delay=0, custom_fields=["carColor"]) as sandbox:
        yield sandbox


@pytest.fixture(params=["file", "redis", "docket"])
def setup(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sandbox: Sandbox,
    server: Server,  # noqa: F811  (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> Setup:
    """Every engine, and the local one with either state store."""
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._POLL", 0.05)
    return Setup(request.param, tmp_path, sandbox, server)


@pytest.fixture
def hosts(
    tmp_path: Path,
    sandbox: Sandbox,
    server: Server,  # noqa: F811  (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> Setup:
    """The engine of many hosts alone."""
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._POLL", 0.05)
    return Setup("docket", tmp_path, sandbox, server)
