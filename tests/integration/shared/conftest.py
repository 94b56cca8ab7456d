from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.redis_server import Server
from tests.support.redis_stores import Stores


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
async def server(one_server: Server) -> Server:
    """A running, empty server that a test may disturb."""
    one_server.start()
    await one_server.ask("FLUSHALL")
    return one_server


@pytest.fixture
async def stores(server: Server) -> AsyncIterator[Stores]:
    stores = Stores(server)
    yield stores
    await stores.aclose()


@pytest.fixture(scope="session")
def keeping_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps its data when it is restarted."""
    server = Server(tmp_path_factory.mktemp("keeping"), appendonly="yes", appendfsync="always")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def keeping(keeping_server: Server) -> AsyncIterator[Stores]:
    keeping_server.start()
    await keeping_server.ask("CONFIG", "SET", "appendonly", "yes", "appendfsync", "always")
    await keeping_server.ask("FLUSHALL")
    stores = Stores(keeping_server)
    yield stores
    await stores.aclose()
