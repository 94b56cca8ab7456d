"""The limit on requests in flight that processes share through files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from publitrac_async import Rate
from publitrac_async.shared.file import SharedFile
from publitrac_async.shared.file.slots import FileSlots


def process(path: Path) -> FileSlots:
    slots = SharedFile(path, account="the-key", rate_limit=Rate(1000), in_flight=1).limiter.slots
    assert isinstance(slots, FileSlots)
    return slots


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_slot_that_is_returned_is_free_though_a_forked_process_has_its_file(tmp_path: Path) -> None:
    ours, theirs = process(tmp_path / "s"), process(tmp_path / "s")
    slot = await ours.take()
    of_the_fork = os.dup(slot)
    ours.give(slot)
    async with asyncio.timeout(20):
        theirs.give(await theirs.take())
    os.close(of_the_fork)


async def test_a_process_that_waits_for_a_slot_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.shared.file.slots._POLL", 0.0)
    ours, theirs = process(tmp_path / "s"), process(tmp_path / "s")
    slot = await ours.take()
    before = open_files()
    waiting = asyncio.create_task(theirs.take())
    for _ in range(50):
        await asyncio.sleep(0)
    assert open_files() == before
    ours.give(slot)
    theirs.give(await waiting)
