"""The limit in a file, in virtual time: each `SharedFile` is a process of the same host."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from bisect import bisect_left
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async import ConfigurationError, LimiterUnavailable, Rate
from publitrac_async.shared.file import SharedFile, record
from tests.support.clock import jump, now, run_virtual, virtual


def process(path: Path, **options: object) -> SharedFile:
    return SharedFile(path, account="the-key", clock=now, **options)  # type: ignore[arg-type]


def most_in_a_second(times: list[float]) -> int:
    times = sorted(times)
    return max(bisect_left(times, start + 1.0) - index for index, start in enumerate(times))


async def depart(shared: SharedFile, log: list[float], number: int = 1) -> None:
    for _ in range(number):
        await shared.limiter.acquire()
        log.append(now())


@given(
    delays=st.lists(st.floats(0, 4), min_size=2, max_size=8),
    burst=st.integers(1, 40),
    stalls=st.lists(st.floats(0, 0.3), max_size=20),
)
@settings(max_examples=40)
def test_no_second_holds_more_whatever_the_processes_do(
    tmp_path_factory: pytest.TempPathFactory, delays: list[float], burst: int, stalls: list[float]
) -> None:
    path = tmp_path_factory.mktemp("shared") / "limit"

    async def main() -> None:
        log: list[float] = []

        async def start(delay: float) -> None:
            await asyncio.sleep(delay)
            shared = process(path)
            await asyncio.gather(*(depart(shared, log) for _ in range(burst)))

        async def block() -> None:
            for stall in stalls:
                await asyncio.sleep(0.1)
                jump(stall)

        await asyncio.gather(block(), *map(start, delays))
        assert most_in_a_second(log) <= 35

    run_virtual(main())


@virtual
async def test_the_limit_is_used_and_shares_are_equal(tmp_path: Path) -> None:
    logs: list[list[float]] = [[] for _ in range(8)]
    begun = now()
    tasks = [
        asyncio.create_task(depart(shared, log, 1000))
        for log in logs
        for shared in [process(tmp_path / "limit")]
        for _ in range(4)
    ]
    await asyncio.sleep(60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    steady = [[at for at in log if at > begun + 2] for log in logs]
    total = sum(map(len, steady))
    assert total >= 0.93 * 35 * 58
    assert min(map(len, steady)) >= 0.95 * total / 8
    assert most_in_a_second([at for log in logs for at in log]) <= 35


@virtual
async def test_blocked_loops_waste_nothing(tmp_path: Path) -> None:
    log: list[float] = []
    begun = now()
    shared = process(tmp_path / "limit")
    tasks = [asyncio.create_task(depart(shared, log, 1000)) for _ in range(16)]
    while now() < begun + 30:
        await asyncio.sleep(0.05)
        jump(0.04)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len([at for at in log if at > begun + 2]) >= 0.93 * 35 * 28
    assert most_in_a_second(log) <= 35


@virtual
async def test_callers_are_served_in_order_and_a_cancelled_one_costs_nothing(tmp_path: Path) -> None:
    shared, served = process(tmp_path / "limit", rate_limit=1), list[int]()

    async def call(number: int) -> None:
        await shared.limiter.acquire()
        served.append(number)

    begun = now()
    tasks = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    tasks[3].cancel()
    await asyncio.wait(tasks)
    assert served == [0, 2, 4]
    assert now() - begun < 2.2


@virtual
async def test_a_departure_counts_when_the_call_has_left(tmp_path: Path) -> None:
    slow, other = process(tmp_path / "limit", rate_limit=1), process(tmp_path / "limit", rate_limit=1)
    await slow.limiter.acquire()
    jump(0.5)  # Between the permit and the write.
    left = now()
    await asyncio.sleep(0)
    await other.limiter.acquire()
    assert now() - left >= 1.04 - 1e-6


@virtual
async def test_a_killed_process_costs_one_departure_at_most(tmp_path: Path) -> None:
    killed, left = process(tmp_path / "limit", rate_limit=1), process(tmp_path / "limit", rate_limit=1)
    await killed.limiter.acquire()
    waiting = asyncio.create_task(killed.limiter.acquire())
    await asyncio.sleep(0.1)
    begun = now()
    served = asyncio.create_task(depart(left, []))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.wait([waiting, served])
    assert now() - begun < 2.2


@virtual
async def test_a_pause_holds_in_all_processes_and_is_never_shortened(tmp_path: Path) -> None:
    ours, theirs = process(tmp_path / "limit"), process(tmp_path / "limit")
    begun = now()
    ours.limiter.pause(5.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    theirs.limiter.pause(1.0)
    await theirs.limiter.acquire()
    assert 5.0 <= now() - begun < 5.1


@virtual
async def test_times_from_before_a_reboot_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = process(tmp_path / "limit", rate_limit=Rate(1, per=3600.0))
    await before.limiter.acquire()
    before.limiter.pause(600)
    await asyncio.sleep(0.1)
    monkeypatch.setattr(record, "boot", lambda: b"another boot".ljust(16))
    after = process(tmp_path / "limit", rate_limit=Rate(1, per=3600.0))
    begun = now()
    await after.limiter.acquire()
    assert now() - begun < 0.1


@virtual
async def test_times_in_the_future_are_ignored_where_boots_look_alike(tmp_path: Path) -> None:
    clock = [1e9]
    before = SharedFile(tmp_path / "limit", account="the-key", clock=lambda: clock[0])
    for _ in range(5):
        await before.limiter.acquire()
    clock[0] = 50.0
    async with asyncio.timeout(0.1):
        await SharedFile(tmp_path / "limit", account="the-key", clock=lambda: clock[0]).limiter.acquire()


@virtual
async def test_another_machine_that_writes_to_the_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = process(tmp_path / "limit")
    await ours.limiter.acquire()
    monkeypatch.setattr(record, "boot", lambda: b"another host".ljust(16))
    await process(tmp_path / "limit").limiter.acquire()
    with pytest.raises(LimiterUnavailable, match="another machine"):
        await ours.limiter.acquire()


@virtual
async def test_a_file_that_is_deleted_is_made_again_by_the_first_and_found_by_the_others(
    tmp_path: Path,
) -> None:
    first = process(tmp_path / "limit", rate_limit=Rate(1, per=60.0))
    second = process(tmp_path / "limit", rate_limit=Rate(1, per=60.0))
    await first.limiter.acquire()
    (tmp_path / "limit").unlink()
    begun = now()
    await first.limiter.acquire()
    assert now() - begun > 59
    await second.limiter.acquire()
    assert now() - begun > 119


@pytest.mark.parametrize("loss", ["deleted", "replaced by an empty one", "replaced by an old copy"])
def test_the_limit_holds_when_the_file_is_lost(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "limit"

    async def main() -> None:
        log: list[float] = []
        tasks = [
            asyncio.create_task(depart(shared, log, 1000))
            for shared in [process(path) for _ in range(4)]
            for _ in range(8)
        ]
        for _ in range(3):
            await asyncio.sleep(1.0)
            copy = path.read_bytes()
            await asyncio.sleep(0.5)
            path.unlink()
            if loss != "deleted":
                path.touch(0o600)
            if loss == "replaced by an old copy":
                path.write_bytes(copy)
        await asyncio.sleep(3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most_in_a_second(log) <= 35
        assert len(log) > 60

    run_virtual(main())


@virtual
async def test_the_default_folder_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared = SharedFile(account="the-key", clock=now)
    await shared.limiter.acquire()
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder)  # As systemd-tmpfiles does after ten days without use.
    await shared.limiter.acquire()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@virtual
async def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = process(tmp_path / "limit")
    await shared.limiter.acquire()
    written = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, content, at: written(fd, content[: len(content) // 2], at))
    with pytest.raises(LimiterUnavailable, match="No space left on device"):
        await shared.limiter.acquire()
    with pytest.raises(ConfigurationError, match="No space left on device"):
        process(tmp_path / "another")
    monkeypatch.undo()
    await process(tmp_path / "another").limiter.acquire()
    await shared.limiter.acquire()


@virtual
async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    shared = process(tmp_path / "limit")
    (tmp_path / "limit").unlink()
    (tmp_path / "limit").mkdir()
    with pytest.raises(LimiterUnavailable, match="cannot be opened: Is a directory") as caught:
        await shared.limiter.acquire()
    assert caught.value.retry_after == 1.0
    (tmp_path / "limit").rmdir()
    await shared.limiter.acquire()


@virtual
async def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    shared = process(tmp_path / "limit")
    await shared.limiter.acquire()
    (tmp_path / "limit").write_bytes(b"")
    with pytest.raises(LimiterUnavailable, match="shared file was damaged"):
        await shared.limiter.acquire()


@pytest.mark.parametrize(("rate_limit", "per"), [(1, 0.2), (50, 20.0), (511, 1.0), (512, 1.0), (2000, 1.0)])
def test_any_rate_keeps_its_window(tmp_path: Path, rate_limit: int, per: float) -> None:
    async def main() -> None:
        shared, log = process(tmp_path / "limit", rate_limit=Rate(rate_limit, per=per)), list[float]()
        begun = now()
        await asyncio.gather(*(depart(shared, log) for _ in range(rate_limit * 2 + 1)))
        assert max(bisect_left(log, at + per) - index for index, at in enumerate(log)) <= rate_limit
        assert now() - begun < 2 * (per + 0.3)

    run_virtual(main())


@virtual
async def test_damaged_times_cost_a_wait_and_never_the_limit(tmp_path: Path) -> None:
    shared = process(tmp_path / "limit", rate_limit=Rate(2, per=10.0))
    for damage in (float("nan"), float("inf"), -float("inf"), 1e9):
        with (tmp_path / "limit").open("r+b") as file:
            file.seek(record._IDENTITY.size)
            file.write(record._FIELDS.pack(2**64 - 1, damage, damage, damage, b"12345678"))
            file.seek(record._DEPARTURES_AT)
            file.write(record._TIME.pack(damage) * record.DEPARTURES)
        begun = now()
        for _ in range(4):
            await shared.limiter.acquire()
        assert 10 < now() - begun < 40
