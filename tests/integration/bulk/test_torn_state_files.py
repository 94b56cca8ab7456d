"""State files damaged by a crash or a bad disk: refused, or resumed without losing a lead."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import StateStoreError, sync_leads
from tests.support.sinks import RecordingSink, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEADS = 400


class Copying(RecordingSink):
    """Copies the state file while it is in use, as a power cut would leave it."""

    def __init__(self, store: Path, copy: Path) -> None:
        super().__init__()
        self._store = store
        self._copy = copy
        self.known: list[str] = []

    async def send(self, records: Any) -> Any:
        response = await super().send(records)
        if len(self.calls) == LEADS // 2:
            for path in self._store.parent.glob("run.sqlite*"):
                shutil.copy(path, self._copy / path.name)
            self.known = list(self.emails)
        return response


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A folder with the state file of an interrupted run, and the leads that had arrived by then."""
    import asyncio

    folder, copy = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("crashed")
    sink = Copying(folder / "run.sqlite", copy)
    asyncio.run(sync_leads(rows(LEADS), sink, state=folder / "run.sqlite", concurrency=4))
    assert (copy / "run.sqlite-wal").stat().st_size > 0
    return copy, set(sink.known)


async def carry_on(crashed: tuple[Path, set[str]], folder: Path, damage: Any) -> bool:
    """Damage a copy and run on it.

    Returns:
        Whether the state store could be used.
    """
    source, arrived = crashed
    for path in source.iterdir():
        shutil.copy(path, folder / path.name)
    damage(folder)
    sink = RecordingSink()
    try:
        report = await sync_leads(rows(LEADS), sink, state=folder / "run.sqlite")
    except StateStoreError:
        assert sink.calls == []
        return False
    if report.stopped is not None:
        assert report.stopped.startswith("StateStoreError: the state store is damaged")
        return False
    assert report.ok + report.skipped == LEADS
    assert arrived | set(sink.emails) == {row["email"] for row in rows(LEADS)}
    return True


async def test_an_untouched_crash_is_carried_on(crashed: tuple[Path, set[str]], tmp_path: Path) -> None:
    assert await carry_on(crashed, tmp_path, lambda folder: None)


@pytest.mark.fault("F30")
async def test_every_cut_of_the_last_records(crashed: tuple[Path, set[str]], tmp_path: Path) -> None:
    size = (crashed[0] / "run.sqlite-wal").stat().st_size
    frame = 4096 + 24
    ends = [*range(1, 40), *range(frame - 3, frame + 30), *range(2 * frame, 4 * frame, 331)]
    cuts = {size - back for back in ends}
    cuts |= set(range(0, size, size // 40))
    for number, length in enumerate(sorted(cuts)):

        def cut(folder: Path, length: int = length) -> None:
            with (folder / "run.sqlite-wal").open("r+b") as file:
                file.truncate(length)

        folder = tmp_path / str(number)
        folder.mkdir()
        assert await carry_on(crashed, folder, cut), length


@pytest.mark.parametrize("name", ["run.sqlite", "run.sqlite-wal"])
@pytest.mark.fault("F30")
async def test_bits_that_flip(crashed: tuple[Path, set[str]], tmp_path: Path, name: str) -> None:
    chance = random.Random(f"{name}")
    size = (crashed[0] / name).stat().st_size
    usable = 0
    for number in range(100):
        at, bit = chance.randrange(size), 1 << chance.randrange(8)

        def flip(folder: Path, at: int = at, bit: int = bit) -> None:
            with (folder / name).open("r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ bit]))

        folder = tmp_path / str(number)
        folder.mkdir()
        usable += await carry_on(crashed, folder, flip)
    assert usable


async def test_a_file_cut_short(crashed: tuple[Path, set[str]], tmp_path: Path) -> None:
    size = (crashed[0] / "run.sqlite").stat().st_size
    for number, length in enumerate([0, 1, 99, 100, 4095, 4096, 5000, size - 4096, size - 1]):

        def cut(folder: Path, length: int = length) -> None:
            with (folder / "run.sqlite").open("r+b") as file:
                file.truncate(length)

        folder = tmp_path / str(number)
        folder.mkdir()
        await carry_on(crashed, folder, cut)
