"""Failures of a state file, of any type: every caller gets a typed error that names the failure."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publitrac_async.bulk import SqliteStateStore, StateStoreError, sync_leads
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.database import Database
from tests.support.sinks import RecordingSink, rows

KEYS = [row["email"] for row in rows(120)]
DAMAGED = r"the state store is damaged \(\w+( \w+)?\): move it away"
FAILING = "the state store cannot be written: the disk is full or failing"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("earlier") / "run.sqlite"
    asyncio.run(sync_leads(rows(120), RecordingSink(), state=path))
    return path


@pytest.fixture
def path(earlier: Path, tmp_path: Path) -> Path:
    """The state file of an earlier run."""
    return Path(shutil.copy(earlier, tmp_path / "run.sqlite"))


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("a message with lead0@example.com")
    error.sqlite_errorcode = code
    return error


@pytest.mark.fault("F30")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (sqlite_error(sqlite3.SQLITE_IOERR), FAILING),
        (sqlite_error(sqlite3.SQLITE_FULL), FAILING),
        (sqlite_error(sqlite3.SQLITE_READONLY), "cannot be opened for writing"),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), DAMAGED),
        (UnicodeDecodeError("utf-8", b"\x80", 0, 1, "invalid start byte"), DAMAGED),
        (MemoryError(), r"the state store failed \(MemoryError\)"),
        (KeyboardInterrupt(), r"the state store failed \(KeyboardInterrupt\)"),
        (SystemExit(), r"the state store failed \(SystemExit\)"),
        (OverflowError("lead0@example.com"), r"the state store failed \(OverflowError\)"),
    ],
    ids=repr,
)
async def test_all_callers_get_an_error_that_names_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, text: str
) -> None:
    store = SqliteStateStore(tmp_path / "run.sqlite")
    await store.open("test")

    def fail(self: Database, waiting: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_commit", fail)
        first = store.begin(KEYS)
        await asyncio.sleep(0)  # The thread is writing the first one.
        posted = [first, store.begin(["late@example.com"]), store.complete([("a", Outcome(State.OK))])]
        async with asyncio.timeout(10):
            await asyncio.wait(posted)
    failures = [each.exception() for each in posted]
    assert len(set(map(id, failures))) == 3
    for failure in failures:
        assert isinstance(failure, StateStoreError)
        with pytest.raises(StateStoreError, match=text) as caught:
            raise failure
        recorded = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        ours = [frame for frame in recorded.stack if "bulk/state" in frame.filename]
        assert "example.com" not in repr([frame.locals for frame in ours])
        assert "example.com" not in f"{failure} {failure.__cause__} {failure.__context__}"
    # The next commit is tried.
    await store.plan([("a@example.com", b"1")])
    assert await store.begin(["a@example.com"]) is True
    await store.aclose()


async def test_callers_get_an_error_when_the_event_loop_ends(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "run.sqlite")
    await store.open("test")
    posted = [store.begin(KEYS)]
    await asyncio.sleep(0)
    posted.append(store.begin(["late@example.com"]))
    committer = store._database._committer
    assert committer is not None
    committer.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait(posted)
    for each in posted:
        with pytest.raises(StateStoreError, match="was closed before the commit"):
            await each
    await store.aclose()


async def test_a_thread_that_cannot_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    with pytest.raises(StateStoreError, match=r"the state store failed \(RuntimeError\)"):
        await SqliteStateStore(tmp_path / "run.sqlite").open("test")


@pytest.mark.fault("F30")
@pytest.mark.parametrize("letter", range(9))
async def test_a_damaged_letter_of_the_schema(path: Path, letter: int) -> None:
    """It passes the check of SQLite, and sqlite3 fails to decode the message that quotes it."""
    content = bytearray(path.read_bytes())
    content[content.index(b"'sending'") + letter] ^= 0x80
    path.write_bytes(content)
    store = SqliteStateStore(path)
    with pytest.raises(StateStoreError, match=DAMAGED):  # noqa: PT012  (any of them may notice)
        async with asyncio.timeout(10):
            await store.open("test")
            posted = [store.begin(KEYS)]
            await asyncio.sleep(0)
            posted.append(store.begin(["late@example.com"]))
            await asyncio.wait(posted)
            for each in posted:
                await each
    await store.aclose()


async def test_a_file_of_leads_is_no_state_store(tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nada@example.com\n" * 100)
    with pytest.raises(StateStoreError, match="not a SQLite database: name another file"):
        await sync_leads(rows(1), RecordingSink(), state=leads)
    assert leads.read_text().startswith("email\nada@example.com\n")


async def test_a_damaged_state_is_named(path: Path) -> None:
    for value in ("0k", b"ok"):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("UPDATE leads SET state = ? WHERE key = ?", (value, KEYS[7]))
        connection.close()
        sink = RecordingSink()
        with pytest.raises(StateStoreError, match=DAMAGED):
            await sync_leads(rows(120), sink, state=path)
        assert sink.calls == []


async def test_pages_that_are_damaged_during_a_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(path.read_bytes())
    content[2 * 4096 :] = b"\x5a" * (len(content) - 2 * 4096)
    path.write_bytes(content)
    monkeypatch.setattr(Database, "_check", lambda self, connection: None)
    with pytest.raises(StateStoreError, match=DAMAGED):
        await sync_leads(rows(120), RecordingSink(), state=path)


@pytest.fixture
def full_disk(path: Path) -> Iterator[None]:
    """Limit the size of files to that of the state file: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.fault("F30")
async def test_a_disk_that_takes_no_more(path: Path, full_disk: None) -> None:
    store = SqliteStateStore(path)
    await store.open("test")
    posted = [store.begin([f"{number}{key}" for key in KEYS]) for number in range(3)]
    planned = [(f"{number}-{key}", b"1" * 16) for number in range(20) for key in KEYS]
    with pytest.raises(StateStoreError, match=FAILING):
        await store.plan(planned)
    async with asyncio.timeout(10):
        await asyncio.gather(*posted, return_exceptions=True)
    await store.aclose()


async def test_an_opening_that_was_cancelled_does_not_keep_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, open_file = threading.Event(), threading.Event(), Database._open

    def slowly(self: Database, layout: str) -> None:
        begun.set()
        go_on.wait(10)
        open_file(self, layout)

    monkeypatch.setattr(Database, "_open", slowly)
    first = Database(tmp_path / "run.sqlite")
    opening = asyncio.create_task(first.open(""))
    await asyncio.to_thread(begun.wait, 10)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    go_on.set()
    await first.aclose()
    second = Database(tmp_path / "run.sqlite")
    await second.open("")
    await second.aclose()
