from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import Server


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
async def server(one_server: Server) -> Server:
    """A server that runs, is empty, and may be treated badly."""
    one_server.start()
    await one_server.ask("FLUSHALL")
    return one_server
