"""The token in a file: each `SharedFile` is a process of the same host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from publitrac_async import LimiterUnavailable, Secret
from publitrac_async.shared.file import FileTokenStore, SharedFile, record
from publitrac_async.transport.auth import Token
from tests.support.clock import now, virtual


def store(path: Path) -> FileTokenStore:
    return SharedFile(path, account="the-key", clock=now).tokens


def token(value: str = "one", life: float = 900.0) -> Token:
    return Token(value=Secret(value), ttl=life, expires_at=now() + life)


@virtual
async def test_a_token_is_known_to_all_until_its_end(tmp_path: Path) -> None:
    ours, theirs = store(tmp_path / "s"), store(tmp_path / "s")
    assert await theirs.load() is None
    await ours.save(token(life=10.0))
    assert await theirs.load() == token(life=10.0) or now() > 1000
    found = await theirs.load()
    assert found is not None
    assert (found.value.reveal(), found.ttl) == ("one", 10.0)
    await asyncio.sleep(11)
    assert await theirs.load() is None


@virtual
async def test_use_slides_the_life_of_the_current_token_only_and_never_backwards(tmp_path: Path) -> None:
    ours, theirs = store(tmp_path / "s"), store(tmp_path / "s")
    first = token("one", 100.0)
    await ours.save(first)
    await asyncio.sleep(50)
    await theirs.touch(first, now() + 100.0)
    await theirs.touch(first, now() + 10.0)
    await theirs.touch(token("two"), now() + 800.0)
    await asyncio.sleep(99)
    assert (await ours.load()) is not None
    await asyncio.sleep(2)
    assert await ours.load() is None


@virtual
async def test_a_late_rejection_of_an_old_token_leaves_the_new_one(tmp_path: Path) -> None:
    ours, theirs = store(tmp_path / "s"), store(tmp_path / "s")
    await ours.save(token("one"))
    await theirs.save(token("two"))
    await ours.discard(token("one"))
    found = await ours.load()
    assert found is not None
    assert found.value.reveal() == "two"
    await ours.discard(found)
    assert await theirs.load() is None


@virtual
async def test_one_process_at_a_time_requests_a_token(tmp_path: Path) -> None:
    inside, most = 0, 0

    async def request() -> None:
        nonlocal inside, most
        async with store(tmp_path / "s").lock():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(1.0)
            inside -= 1

    await asyncio.gather(*(request() for _ in range(5)))
    assert most == 1


@virtual
async def test_a_process_killed_in_its_token_request_holds_the_others_up_for_ten_seconds(
    tmp_path: Path,
) -> None:
    killed = store(tmp_path / "s").lock()
    await killed.__aenter__()
    begun = now()
    async with store(tmp_path / "s").lock():
        assert 9.5 < now() - begun < 10.5
    await killed.__aexit__(None, None, None)


@virtual
async def test_a_process_that_took_too_long_leaves_the_lease_to_the_next(tmp_path: Path) -> None:
    slow, following = store(tmp_path / "s").lock(), store(tmp_path / "s").lock()
    await slow.__aenter__()
    await asyncio.sleep(11)
    async with store(tmp_path / "s").lock():
        await slow.__aexit__(None, None, None)
        begun = now()
        await following.__aenter__()  # When the lease of the second has expired.
        assert 9.5 < now() - begun < 10.5
    await following.__aexit__(None, None, None)


@virtual
@pytest.mark.parametrize("end", [float("nan"), float("inf"), 1e9])
async def test_a_damaged_lease_holds_nothing_up(tmp_path: Path, end: float) -> None:
    ours = store(tmp_path / "s")
    with (tmp_path / "s").open("r+b") as file:
        file.seek(record._IDENTITY.size)
        file.write(record._FIELDS.pack(0, 0.0, 0.0, end, b"12345678"))
    begun = now()
    async with ours.lock() as lease:
        assert await lease.confirm()
    assert now() == begun


@virtual
async def test_a_token_request_is_confirmed_by_the_first_that_is_about_to_leave(tmp_path: Path) -> None:
    ours, theirs = store(tmp_path / "s"), store(tmp_path / "s")
    async with ours.lock() as first:
        await asyncio.sleep(11)  # In the queue for longer than the lease lasts.
        async with theirs.lock() as second:
            assert await first.confirm()
            assert not await second.confirm()
            assert await first.confirm()  # A retry.
            await ours.save(token())
        assert not await second.confirm()
    async with theirs.lock() as lease:
        assert await lease.confirm()
        await ours.save(token("two"))
        assert not await lease.confirm()


@virtual
async def test_a_token_from_before_a_reboot_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(tmp_path / "s").save(token())
    monkeypatch.setattr(record, "boot", lambda: b"another boot".ljust(16))
    assert await store(tmp_path / "s").load() is None
    assert b"one" not in (tmp_path / "s").read_bytes()


@virtual
@pytest.mark.parametrize(
    "stored",
    [
        record._TOKEN.pack(3, 900.0, 500.0) + b"\xff\xfe\xfd",
        record._TOKEN.pack(3, 900.0, 500.0) + b"t\nk",
        record._TOKEN.pack(5000, 900.0, 500.0) + b"x" * 5000,
        record._TOKEN.pack(60000, 900.0, 500.0),
        record._TOKEN.pack(3, float("nan"), 500.0) + b"tok",
        record._TOKEN.pack(3, 900.0, float("nan")) + b"tok",
        record._TOKEN.pack(3, float("inf"), float("inf")) + b"tok",
        record._TOKEN.pack(3, -1.0, 500.0) + b"tok",
    ],
    ids=range(8),
)
async def test_a_damaged_token_is_replaced_for_all_processes(tmp_path: Path, stored: bytes) -> None:
    ours, theirs = store(tmp_path / "s"), store(tmp_path / "s")
    with (tmp_path / "s").open("r+b") as file:
        file.seek(record._TOKEN_AT)
        file.write(stored)
    assert await ours.load() is None
    await ours.discard(token("one"))
    await ours.save(token("one"))
    assert (found := await theirs.load()) is not None
    assert found.value.reveal() == "one"


@virtual
async def test_a_file_that_was_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    ours = store(tmp_path / "s")
    assert await ours.load() is None
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[: record._TOKEN_AT + 4])
    with pytest.raises(LimiterUnavailable, match="shared file was damaged"):
        await ours.load()
