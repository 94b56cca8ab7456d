"""The contract of state stores: the one in a file, and the one in Redis."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from publitrac_async.bulk import RedisStateStore, sync_leads, unknown_rows
from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry, StateStore
from publitrac_async.bulk.state.sqlite import SqliteStateStore
from publitrac_async.shared import SharedRedis
from tests.support.redis_server import Server
from tests.support.redis_state import OwnRedisState
from tests.support.redis_stores import ADA, BEN, EVE, FIRST, OK, SECOND, known
from tests.support.sinks import RecordingSink, rows

Stores: TypeAlias = Callable[[], StateStore]

LOST = Outcome(State.UNKNOWN, "OutcomeUnknown", "the response was lost")


@pytest.fixture(params=["file", "redis"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """The same state store, as opened by successive processes."""
    made: list[Any] = []
    url = ""
    if request.param == "redis":
        server: Server = request.getfixturevalue("one_server")
        server.start()
        await server.ask("FLUSHALL")
        url = server.url

    def make() -> StateStore:
        made.append(
            OwnRedisState(url, account="the-key") if url else SqliteStateStore(tmp_path / "run.sqlite")
        )
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def opened(stores: Stores, destination: str | None = "here", **options: Any) -> StateStore:
    store = stores()
    await store.open(destination, **options)
    return store


async def send(store: StateStore, key: str, outcome: Outcome, content_hash: bytes = FIRST) -> None:
    await store.plan([(key, content_hash)])
    assert await store.begin([key]) is True
    await store.complete([(key, outcome)])


async def test_all_parts_of_an_outcome_are_kept(stores: Stores) -> None:
    refused = Outcome(State.REJECTED, "ValidationError", "refused: é", "9001")
    store = await opened(stores)
    await send(store, ADA, refused)
    assert await known(store) == Entry(refused, FIRST, None)


async def test_a_lead_goes_from_pending_to_its_outcome(stores: Stores) -> None:
    store = await opened(stores)
    assert await store.lookup([ADA]) == [None]
    await store.plan([(ADA, FIRST)])
    assert await known(store) == Entry(Outcome(State.PENDING), FIRST, None)
    assert await store.begin([ADA]) is True
    assert await known(store) == Entry(Outcome(State.SENDING), FIRST, None)
    assert await store.complete([(ADA, OK)]) in (None, True)
    assert await known(store) == Entry(OK, FIRST, FIRST)


@pytest.mark.parametrize("key", ["", "å\u0131@example.com", 'a"b\\u0041\n\x01', "$[0].😀", " x "])
async def test_keys_are_any_text(stores: Stores, key: str) -> None:
    store = await opened(stores)
    await send(store, key, OK)
    assert await known(store, key) == Entry(OK, FIRST, FIRST)


@pytest.mark.parametrize(
    ("outcome", "acked_hash"),
    [
        (OK, SECOND),
        (Outcome(State.ACCEPTED), SECOND),
        (Outcome(State.REJECTED, "ValidationError", "no such country: é", "610"), FIRST),
        (Outcome(State.RETRY, "ServerError", "busy"), FIRST),
        (LOST, FIRST),
    ],
)
async def test_only_accepted_rows_are_acknowledged(
    stores: Stores, outcome: Outcome, acked_hash: bytes
) -> None:
    store = await opened(stores)
    await send(store, ADA, OK, FIRST)
    await send(store, ADA, outcome, SECOND)
    assert await known(store) == Entry(outcome, SECOND, acked_hash)


async def test_entering_again_forgets_rejections_and_keeps_accepted_payloads(stores: Stores) -> None:
    store = await opened(stores)
    await send(store, ADA, OK)
    await send(store, ADA, Outcome(State.REJECTED, "ValidationError", "wrong", "9"), SECOND)
    await store.aclose()
    store = await opened(stores)
    await store.plan([(ADA, b"third")])
    assert await known(store) == Entry(Outcome(State.PENDING), b"third", FIRST)


async def test_after_an_unknown_outcome_no_payload_counts_as_accepted(stores: Stores) -> None:
    store = await opened(stores)
    await send(store, ADA, OK)
    await send(store, ADA, LOST, SECOND)
    await store.plan([(ADA, FIRST)])
    assert (await known(store)).acked_hash is None
    await store.begin([ADA])
    await store.complete([(ADA, Outcome(State.REJECTED))])
    assert (await known(store)).acked_hash is None


async def test_rows_in_flight_when_the_run_ended_are_unknown(stores: Stores) -> None:
    store = await opened(stores)
    await send(store, ADA, OK)
    await store.plan([(ADA, SECOND), (BEN, FIRST)])
    await store.begin([ADA])
    await store.aclose()

    store = await opened(stores)
    assert (await known(store)).outcome == Outcome(State.UNKNOWN)
    assert (await known(store, BEN)).outcome == Outcome(State.PENDING)
    (unknown_rows,) = await store.unknown_rows()
    assert unknown_rows.reason is None
    since = dt.datetime.fromisoformat(unknown_rows.since)
    assert abs(dt.datetime.now(dt.UTC) - since) < dt.timedelta(minutes=5)
    await store.plan([(ADA, SECOND)])
    assert await known(store) == Entry(Outcome(State.PENDING), SECOND, None)
    assert await store.unknown_rows() == []


async def test_the_same_run_started_again_knows_the_rows_in_flight(stores: Stores) -> None:
    store = await opened(stores, run="the same")
    await store.plan([(ADA, FIRST), (BEN, FIRST), (EVE, FIRST)])
    await store.begin([ADA, BEN])
    await store.complete([(BEN, OK)])
    await store.aclose()

    store = await opened(stores, run="the same")
    states = [entry and entry.outcome.state for entry in await store.lookup([ADA, BEN, EVE])]
    assert states == [State.UNKNOWN, State.OK, State.PENDING]
    await store.plan([(EVE, FIRST)])
    await store.begin([EVE])
    await store.complete([(EVE, OK)])
    assert await known(store, EVE) == Entry(OK, FIRST, FIRST)


async def test_unknown_outcomes_are_listed_until_they_are_reconciled(stores: Stores) -> None:
    store = await opened(stores)
    for key in (ADA, BEN, EVE):
        await send(store, key, LOST)
    await store.aclose()

    store = await opened(stores, None)
    assert [each.reason for each in await store.unknown_rows()] == ["the response was lost"] * 3
    await store.complete([(ADA, OK), (BEN, Outcome(State.RETRY))])
    assert len(await store.unknown_rows()) == 1
    await store.aclose()

    store = await opened(stores)
    assert await known(store, ADA) == Entry(OK, FIRST, FIRST)
    assert (await known(store, BEN)).outcome == Outcome(State.RETRY)
    assert (await known(store, EVE)).outcome == LOST


async def test_lookup_keeps_the_order_of_many(stores: Stores) -> None:
    store = await opened(stores)
    keys = [f"{number}@example.test" for number in range(1203)]
    await store.plan([(key, key.encode()) for key in keys])
    entries = await store.lookup([*keys, ADA])
    assert [entry and entry.content_hash for entry in entries] == [*(key.encode() for key in keys), None]


async def test_order_holds_without_a_caller_that_waits(stores: Stores) -> None:
    store = await opened(stores)
    keys = [f"{number}@example.test" for number in range(300)]
    await store.plan([(key, FIRST) for key in keys])
    for key in keys:
        store.begin([key])
        store.complete([(key, OK)])
    await store.aclose()
    store = await opened(stores)
    assert [entry and entry.outcome for entry in await store.lookup(keys)] == [OK] * 300


async def test_a_note_is_written_though_its_waiter_is_cancelled(stores: Stores) -> None:
    store = await opened(stores)
    await store.plan([(ADA, FIRST), (BEN, FIRST), (EVE, FIRST)])
    #: A state store without a disk or a server delays no call.
    waits = not store.begin([EVE]).done()

    async def call(key: str) -> None:
        await store.begin([key])
        await store.complete([(key, OK)])

    # Cancelled at its first wait, the intent, and at its second, the outcome.
    before, after = asyncio.create_task(call(ADA)), asyncio.create_task(call(BEN))
    await asyncio.sleep(0)
    before.cancel()
    while (await known(store, BEN)).outcome.state is State.PENDING:
        await asyncio.sleep(0)
    after.cancel()
    await asyncio.wait([before, after])
    assert before.cancelled() is waits
    await store.aclose()
    store = await opened(stores)
    assert (await known(store, ADA)).outcome == (Outcome(State.UNKNOWN) if waits else OK)


async def test_it_is_for_one_process_at_a_time(stores: Stores) -> None:
    first = await opened(stores)
    with pytest.raises(
        StateStoreError, match="another process is using the state store: wait until its run ends"
    ):
        await opened(stores)
    with pytest.raises(StateStoreError, match="another process is using the state store"):
        await opened(stores, None)
    await first.aclose()
    await opened(stores)


async def test_it_belongs_to_one_destination(stores: Stores) -> None:
    await (await opened(stores, "here")).aclose()
    with pytest.raises(StateStoreError, match="the state store belongs to here, not to there: name another"):
        await opened(stores, "there")
    await (await opened(stores, None)).aclose()
    await (await opened(stores, "there", reset=True)).aclose()
    with pytest.raises(StateStoreError, match="the state store belongs to there, not to here"):
        await opened(stores, "here")


async def test_reset_forgets_everything(stores: Stores) -> None:
    store = await opened(stores, run="the same")
    await send(store, ADA, OK)
    await send(store, BEN, LOST)
    await store.note_source("leads.csv", "one")
    await store.aclose()
    store = await opened(stores, run="the same", reset=True)
    assert await store.lookup([ADA, BEN]) == [None, None]
    assert await store.unknown_rows() == []
    assert await store.note_source("leads.csv", "two") is None


async def test_it_tells_another_source(stores: Stores) -> None:
    store = await opened(stores)
    assert await store.note_source("leads.csv", "one") is None
    assert await store.note_source("copy.csv", "one") is False
    assert await store.note_source("copy.csv", "two") is True
    assert await store.note_source("rows", None) is None
    assert await store.note_source("copy.csv", "two") is None


# The guarantee.


Eyes: TypeAlias = Callable[[list[str]], Awaitable[list[State]]]


@pytest.fixture(params=["file", "redis", "redis, durable"])
async def watched(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[StateStore, Eyes]]:
    """A state store, and the states that another process would find if this one were killed."""
    if request.param == "file":
        path = tmp_path / "run.sqlite"

        async def in_copy(keys: list[str]) -> list[State]:
            with tempfile.TemporaryDirectory() as folder:
                for each in tmp_path.glob("run.sqlite*"):
                    shutil.copy(each, folder)
                return await states(SqliteStateStore(Path(folder, path.name)), keys)

        yield SqliteStateStore(path), in_copy
        return
    durable = request.param != "redis"
    server: Server = request.getfixturevalue("keeping_server" if durable else "one_server")
    server.start()
    await server.ask("FLUSHALL")
    made = [OwnRedisState(server.url, account="the-key", durable=durable) for _ in range(2)]

    async def from_elsewhere(keys: list[str]) -> list[State]:
        entries = await made[1].lookup(keys)
        return [State.PENDING if entry is None else entry.outcome.state for entry in entries]

    yield made[0], from_elsewhere
    for each in made:
        await each.aclose()


async def states(store: StateStore, keys: list[str]) -> list[State]:
    await store.open(None)
    try:
        return [entry.outcome.state if entry else State.PENDING for entry in await store.lookup(keys)]
    finally:
        await store.aclose()


@pytest.mark.parametrize("batch_size", [1, 4])
async def test_no_call_starts_before_its_begin_is_durable_and_a_kill_leaves_few_rows_unknown(
    watched: tuple[StateStore, Eyes], batch_size: int
) -> None:
    store, seen_elsewhere = watched
    concurrency, keys = 3, [row["email"] for row in rows(24)]
    most = 0

    class Watching(RecordingSink):
        async def send(self, contents: Any) -> Any:
            nonlocal most
            now = dict(zip(keys, await seen_elsewhere(keys), strict=True))
            assert {now[lead.email] for lead in contents} == {State.UNKNOWN}
            unknown = sum(state is State.UNKNOWN for state in now.values())
            assert unknown <= concurrency * batch_size
            most = max(most, unknown)
            return await super().send(contents)

    sink = Watching(batch_size=batch_size, idempotent=False, turns=3)
    report = await sync_leads(rows(24), sink, state=store, concurrency=concurrency)
    assert (report.ok, report.stopped) == (24, None)
    assert most > batch_size


async def test_a_state_store_can_be_opened_again_after_a_run(watched: tuple[StateStore, Eyes]) -> None:
    store, _ = watched
    assert (await sync_leads(rows(3), RecordingSink(), state=store)).ok == 3
    assert (await sync_leads(rows(3), RecordingSink(), state=store)).skipped == 3
    assert await unknown_rows(store) == []


def test_the_default_of_the_shared_state_store_is_durable() -> None:
    shared = SharedRedis("redis://127.0.0.1:1", account="the-key")
    assert RedisStateStore(shared)._durable
    assert not RedisStateStore(shared, durable=False)._durable
