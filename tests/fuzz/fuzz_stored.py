"""Mutated state files, shared files and values in Redis. Not part of the suite: `nox -s fuzz -- EXAMPLES`."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import PublitracError, Secret
from publitrac_async.bulk.distributed import messages
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.progress import failures_from_json
from publitrac_async.bulk.state.redis.entries import _entry, state_and_reason
from publitrac_async.bulk.state.redis.keys import reading
from publitrac_async.bulk.state.redis.progress import _progress
from publitrac_async.bulk.state.sqlite import SqliteStateStore
from publitrac_async.shared import SharedFile, SharedRedis
from publitrac_async.shared.file.tokens import FileTokenStore, _Lease
from publitrac_async.shared.redis.tokens import _decode
from publitrac_async.transport.auth import Token
from tests.support.mutations import fuzzed, mutated
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.redis_stores import ADA, BEN, OK

FAILED = Outcome(State.REJECTED, "ValidationError", "refused", "9001")


async def tried(call: Awaitable[Any] | AsyncIterator[Any]) -> Any:
    """Await a call; typed errors are fine."""
    with contextlib.suppress(PublitracError):
        if isinstance(call, AsyncIterator):
            return [each async for each in call]
        return await call
    return None


# State files.


@pytest.fixture(scope="module")
def state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state file with some leads."""
    path = tmp_path_factory.mktemp("state") / "run.sqlite"

    async def fill() -> None:
        store = SqliteStateStore(path)
        await store.open("here")
        await store.note_source("leads.csv", "hash")
        leads = [(f"lead{number}@example.com", b"hash") for number in range(300)]
        await store.plan([(ADA, b"1"), (BEN, b"2"), *leads])
        await store.begin([ADA])
        await store.complete([(ADA, OK), (BEN, FAILED)])
        await store.aclose()

    asyncio.run(fill())
    return path


async def use_file(path: Path) -> None:
    store = SqliteStateStore(path)
    async with asyncio.timeout(20):
        try:
            await store.open("here")
        except StateStoreError:
            return
        try:
            await tried(store.note_source("a", "b"))
            await tried(store.lookup([ADA, BEN, "lead7@example.com"]))
            await tried(store.plan([(ADA, b"1"), ("new@example.com", b"2")]))
            for change in (
                store.begin([ADA]),
                store.complete([(ADA, OK)]),
                store.begin(["lead9@example.com"]),
            ):
                await tried(change)
            await tried(store.unknown_rows())
        finally:
            await store.aclose()


@fuzzed(10)
@given(data=st.data())
def test_state_files_raise_only_typed_errors(state_file: Path, data: st.DataObject) -> None:
    """Bytes of the header, of the schema and of pages are changed, and parts are cut, doubled or moved."""
    content = bytearray(state_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        end = data.draw(st.sampled_from([100, 4096, len(content)]))
        at = data.draw(st.integers(0, min(end, len(content)) - 1))
        match data.draw(st.sampled_from(["byte", "bytes", "cut", "swap"])):
            case "byte":
                content[at] = data.draw(st.integers(0, 255))
            case "bytes":
                content[at : at + 8] = data.draw(st.binary(max_size=16))
            case "cut":
                del content[at + 1 :]
            case _:
                page = at // 4096 * 4096
                content[page : page + 4096] = content[-4096:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.sqlite"
        path.write_bytes(content)
        asyncio.run(use_file(path))


CELLS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
SCHEMAS = [
    "DROP TABLE facts",
    "DROP TABLE leads",
    "ALTER TABLE leads DROP COLUMN kind",
    "ALTER TABLE leads RENAME TO other",
    "CREATE TRIGGER no BEFORE UPDATE ON leads BEGIN SELECT RAISE(ABORT, 'no'); END",
    "DROP TABLE leads; CREATE VIEW leads AS SELECT 1 AS key",
    (
        "DROP TABLE leads; CREATE TABLE leads (key, state, content_hash, acked_hash, attempts, kind, code,"
        " error, changed_at); INSERT INTO leads"
        " VALUES ('ada@example.test', 'who', 1, 2, 'x', x'ff', 7, 7, x'ff')"
    ),
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 99",
    "PRAGMA application_id = 7",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA auto_vacuum = 1; VACUUM",
]


@fuzzed(20)
@given(
    schema=st.sampled_from(["", *SCHEMAS]),
    cells=st.dictionaries(
        st.sampled_from(
            ["state", "content_hash", "acked_hash", "attempts", "kind", "code", "error", "changed_at"]
        ),
        CELLS,
    ),
    fact=CELLS,
)
def test_other_schemas_and_values_raise_only_typed_errors(
    state_file: Path, schema: str, cells: dict[str, Any], fact: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.sqlite"
        shutil.copy(state_file, path)
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA ignore_check_constraints = 1")
        for name, cell in cells.items():
            with contextlib.suppress(sqlite3.Error, UnicodeEncodeError):
                database.execute(f"UPDATE leads SET {name} = ? WHERE key = ?", (cell, ADA))
        with contextlib.suppress(sqlite3.Error, UnicodeEncodeError):
            database.execute("UPDATE facts SET value = ?", (fact,))
        with contextlib.suppress(sqlite3.Error):
            database.executescript(schema)
        database.close()
        asyncio.run(use_file(path))


# Shared files.


@fuzzed(10)
@given(
    changes=st.lists(st.tuples(st.integers(0, 16 * 1024), st.binary(max_size=12)), max_size=6),
    cut=st.booleans(),
)
def test_shared_files_raise_only_typed_errors(changes: list[tuple[int, bytes]], cut: bool) -> None:
    async def use(path: Path) -> None:
        shared = SharedFile(path, account="the-key", clock=lambda: 1000.0)
        # A departure, or seconds to wait: the file may contain any time.
        wait = await tried(shared.limiter._wait())  # type: ignore[union-attr]
        assert wait is None or wait <= 3600 + 60
        tokens = shared.tokens
        await tried(tokens.load())
        token = Token(value=Secret("token"), ttl=900.0, expires_at=1900.0)
        for call in (tokens.touch(token, 1950.0), tokens.discard(token), tokens.save(token), tokens.load()):
            await tried(call)
        assert isinstance(tokens, FileTokenStore)
        lease = _Lease(tokens._record, tokens._clock)
        for step in (lease.take(), lease.confirm(), lease.release()):
            await tried(step)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "limit"
        asyncio.run(use(path))
        content = bytearray(path.read_bytes())
        for at, data in changes:
            content[at : at + len(data)] = data
        path.write_bytes(content[: changes[0][0]] if cut and changes else content)
        with contextlib.suppress(PublitracError):
            asyncio.run(use(path))


# Values in Redis, as scripts and commands return them.

NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([b"9" * 5000, b"-1", b"1e999", b"99999999999999999999", b"x"])
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        b"id",
        b"begun",
        b"ended",
        b"rows",
        b"refused",
        b"slice",
        b"slice_rows",
        b"rows_before",
        b"sending_since",
        b"state:o",
        b"state:s",
        b"stopped",
        b"\xff",
    ]
)


@fuzzed()
@given(found=st.lists(ANY, min_size=7, max_size=7) | ANY)
def test_entries_are_entries_or_damage(found: Any) -> None:
    for read in (_entry, state_and_reason):
        with contextlib.suppress(StateStoreError), reading():
            read(found)


@fuzzed()
@given(
    pairs=st.dictionaries(
        FIELDS, NUMBERS.map(lambda value: value if isinstance(value, bytes) else repr(value).encode())
    ),
    rest=st.tuples(NUMBERS, st.none() | st.binary(max_size=3), NUMBERS, NUMBERS),
)
def test_run_records_are_progress_or_damage(pairs: dict[bytes, bytes], rest: tuple[Any, ...]) -> None:
    now, destination, alive, running = rest
    pairs.setdefault(b"id", b"job")
    pairs.setdefault(b"begun", b"1700000000")
    with contextlib.suppress(StateStoreError), reading():
        progress = _progress(
            "name", [now, destination, alive, running, [each for pair in pairs.items() for each in pair]]
        )
        assert progress is not None
        progress.as_dict()


@fuzzed()
@given(text=mutated([b'[["rejected", "ValidationError", "refused", "9001", [1, "a.csv:2"]]]', b"[]", b""]))
def test_failures_are_texts_and_lines_or_damage(text: bytes) -> None:
    with contextlib.suppress(StateStoreError), reading():
        for each in failures_from_json(text):
            assert hash(each)
            assert all(isinstance(line, int | str) for line in each.lines)


@fuzzed()
@given(stored=mutated([b"900.0 the-token"]), life=st.floats(0.001, 1e9))
def test_tokens_are_tokens_or_none(stored: bytes, life: float) -> None:
    token = _decode(stored, 1000 + life, life)
    assert token is None or token.ttl >= life - 1


ORDERS = [pickle.dumps(("signature task",), protocol) for protocol in range(6)]


@fuzzed()
@given(pickled=mutated([*ORDERS, pickle.dumps((1, "x")), pickle.dumps({"a": ["b"]})]), other=ANY)
def test_orders_are_texts_or_refused(pickled: bytes, other: Any) -> None:
    for value in (pickled, other):
        assert isinstance(messages.text_of(value), str | None)
    check = messages.checked(None, "task", lambda text: text == "signature task")
    response = [["stream", [(b"1-0", {b"args": pickled, b"function": b"x"}), (b"1-1", other)]]]
    check(response)
    message: Any = response[0][1][0]
    assert pickle.loads(message[1][b"args"]) in {("",), ("signature task",)}


# Values in a server.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


async def fill(server: Server) -> dict[bytes, bytes]:
    """Return the keys of a run as Redis dumps them."""
    await server.ask("FLUSHALL")
    store = OwnRedisState(server.url, account="the-key")
    await store.open("here", run="one")
    await store.note_source("a", "hash")
    await store.plan([(ADA, b"1" * 16), (BEN, b"2" * 16)])
    assert store.job
    claim = await store.claim(store.job, 0)
    assert claim is not None
    async with claim:
        await claim.begin([ADA])
        await claim.complete([(ADA, FAILED)])
        await claim.end(None, [])
    await store.aclose()
    async with SharedRedis(server.url, "the-key") as shared:
        await shared.tokens.save(Token(value=Secret("token"), ttl=900.0, expires_at=1e9))
        await shared.limiter.acquire()
    keys = await server.ask("KEYS", "*")
    return {key: await server.ask("DUMP", key) for key in keys}


WRITES: dict[bytes, Callable[[bytes, bytes, bytes], tuple[Any, ...]]] = {
    b"string": lambda key, _, value: ("SET", key, value),
    b"hash": lambda key, name, value: ("HSET", key, name, value),
    b"list": lambda key, _, value: ("LSET", key, 0, value),
    b"set": lambda key, _, value: ("SADD", key, value),
    b"zset": lambda key, _, value: ("ZADD", key, 1, value),
}
VALUES = mutated(
    [b"900.0 token", b"1700000000", b"\x97\xa1p\xa11\xa0\xa0\xa0\xa0\x00", b"0 reason", b"ok", b"[]"]
)


async def use_redis(server: Server) -> None:
    store = OwnRedisState(server.url, account="the-key", timeout=0.2)
    shared = SharedRedis(server.url, "the-key")
    async with asyncio.timeout(20):
        await tried(store.open("here", run="one"))
        for call in (
            *(store.lookup([ADA, BEN]), store.note_source("a", "b"), store.plan([(ADA, b"1"), (BEN, b"2")])),
            *(store.begin([ADA]), store.complete([(ADA, OK)]), store.results(0), store.stopped()),
            *(
                store.claimed(),
                store.reports.source_errors("job"),
                store.unknown_rows(),
                store.progress(),
                store.failures(),
            ),
            *(
                store.note_rows(1, []),
                store.claim(store.job or "x", 0),
                store.stop("x"),
                store.is_current("x"),
            ),
            *(store.finish(), store.names(), shared.tokens.load()),
        ):
            found = await tried(call)
            if hasattr(found, "aclose"):
                await tried(found.aclose())
        await tried(store.aclose())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await tried(shared.limiter.acquire())
        await tried(shared.aclose())


@fuzzed(20)
@given(data=st.data())
def test_any_value_in_redis_is_read_or_named(server: Server, data: st.DataObject) -> None:
    async def run() -> None:
        keys = await fill(server)
        for key in sorted(keys):
            if data.draw(st.booleans()):
                continue
            kind = await server.ask("TYPE", key)
            names = await server.ask("HKEYS", key) if kind == b"hash" else [b""]
            name = data.draw(st.sampled_from(sorted(names)))
            if data.draw(st.integers(0, 9)) == 0:  # A value of another kind.
                await server.ask("DEL", key)
                kind = data.draw(st.sampled_from([b"string", b"hash", b"set", b"zset"]))
            await server.ask(*WRITES[kind](key, name, data.draw(VALUES)))
        await use_redis(server)

    asyncio.run(run())
