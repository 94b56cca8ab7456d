"""The invariants of the fault matrix that hold after every case."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.canaries import Transcript, find


@pytest_asyncio.fixture(autouse=True)
async def invariants(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Check I3 and I7 after the test; I5 is the time limit of every test, I9 is in `opened`.

    - I3: no credential in any log record.
    - I7: no task and no thread more than before.
    """
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    yield
    find(["the-password"], [record.getMessage() for record in caplog.records])
    left: set[asyncio.Task[object]] = set()
    for _ in range(200):
        left = {task for task in asyncio.all_tasks() - tasks if task is not asyncio.current_task()}
        if not left and _workers() <= threads:
            break
        await asyncio.sleep(0.005)
    assert not left, left
    gc.collect(0)


def _workers() -> int:
    """Threads, without those of executors: they stay for the next name to be resolved."""
    return sum(not thread.name.startswith(("asyncio_", "ThreadPool")) for thread in threading.enumerate())


@pytest.fixture
def transcript() -> Transcript:
    return Transcript()
