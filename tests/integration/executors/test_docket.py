"""What the engine of many hosts does beyond what every engine does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from publitrac_async import AuthenticationError, ConfigurationError
from publitrac_async.bulk import (
    NamedSource,
    Resend,
    SourceError,
    StateStoreError,
    read_leads,
    read_sql,
    sync_leads,
)
from publitrac_async.bulk.distributed import docket
from publitrac_async.bulk.distributed.docket import DocketExecutor, serve
from tests.support.executor_setups import (
    ACCOUNT,
    CALLS,
    CHUNK_ROWS,
    CHUNKS,
    Gate,
    Setup,
    Submission,
    until,
    write_workbook,
)
from tests.support.redis_state import OwnRedisState
from tests.support.sinks import RecordingSink, rows


class Untouched:
    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was read")


# Before anything is read.


@pytest.mark.parametrize("source", [[], iter(()), Untouched()])
async def test_a_source_that_others_cannot_open_is_refused(hosts: Setup, source: Any) -> None:
    with pytest.raises(SourceError, match="other processes cannot open"):
        await sync_leads(source, RecordingSink(), state=hosts.store(), executor=hosts.executor())
    assert await hosts.server.keys() == []


async def test_a_query_needs_a_name(hosts: Setup) -> None:
    source = read_sql(lambda: pytest.fail("it was read"), "SELECT 1", key="id")
    with pytest.raises(SourceError, match="NamedSource"):
        await sync_leads(source, RecordingSink(), state=hosts.store(), executor=hosts.executor())


@pytest.mark.parametrize("store", [None, "run.sqlite"])
async def test_a_state_store_for_one_process_is_refused(hosts: Setup, store: str | None) -> None:
    path = store and hosts.folder / store
    with pytest.raises(ConfigurationError, match="shared state store"):
        await sync_leads(hosts.table(rows(3)), RecordingSink(), state=path, executor=hosts.executor())
    assert not (hosts.folder / "run.sqlite").exists()


async def test_settings_that_cannot_be_used(hosts: Setup) -> None:
    for options in ({"concurrency": 0}, {"chunks": 0}, {"redelivery": 0}):
        with pytest.raises(ConfigurationError, match="at least 1"):
            await serve(RecordingSink(), hosts.store(), **options)
    with pytest.raises(ConfigurationError, match="chunk_rows"):
        DocketExecutor(chunk_rows=0)


async def test_a_queue_that_cannot_be_reached(hosts: Setup) -> None:
    url = "redis://:secret@127.0.0.1:1"
    store = OwnRedisState(url, account=ACCOUNT, timeout=0)
    with pytest.raises(StateStoreError, match="does not respond") as caught:
        await serve(RecordingSink(), store)
    await store.aclose()
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(ConfigurationError, match="url must be") as refused:
        await serve(RecordingSink(), OwnRedisState("http://:secret@127.0.0.1", account=ACCOUNT))
    assert "secret" not in str(refused.value)
    assert refused.value.__context__ is None


async def test_orders_are_given_again_when_redis_breaks_the_connection(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    give, failures = docket.Docket.add_many, [ConnectionResetError()]

    async def add_many(self: Any, calls: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await give(self, calls, **options)

    monkeypatch.setattr(docket.Docket, "add_many", add_many)
    report = await hosts.sync(hosts.table(rows(25)), RecordingSink())
    assert (report.ok, report.stopped) == (25, None)
    failures += [ConnectionResetError(), ConnectionResetError()]
    report = await hosts.sync(hosts.table(rows(30)), sink := RecordingSink())
    assert report.stopped is not None
    assert report.stopped.startswith(
        "StateStoreError: the queue in Redis does not respond (ConnectionResetError)"
    )
    assert (report.pending, sink.calls) == (5, [])
    assert (await hosts.sync(hosts.table(rows(30)), sink)).ok == 5


# Workers that do not fit.


async def test_the_last_chunk_may_end_the_run(hosts: Setup) -> None:
    sink = RecordingSink(lambda lead: AuthenticationError("refused"))
    report = await hosts.sync(hosts.table(rows(3)), sink)
    assert (report.stopped, report.pending) == ("AuthenticationError: refused", 3)


async def test_a_worker_that_sends_to_elsewhere_ends_the_run(hosts: Setup) -> None:
    other = RecordingSink(destination="another account")
    submission = Submission(hosts, hosts.table(rows(25)), RecordingSink())
    async with hosts.worker(other):
        report = await submission.report()
    assert report.stopped == "a worker sends to another account, not to test: check its account"
    assert (report.pending, other.calls) == (25, [])


@pytest.mark.parametrize("count", [25, 12], ids=["other rows", "less rows"])
async def test_a_source_that_was_changed_is_noticed(hosts: Setup, count: int) -> None:
    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25, city="Lund")), sink)
    await submission.given(3)
    changed = rows(25, city="Lund")[:count]
    changed[11]["city"] = "Ystad"
    hosts.table(changed)
    async with hosts.worker(sink, chunks=1):
        report = await submission.report()
    assert report.stopped is not None
    assert "the source was changed, or" in report.stopped or "the source\nwas changed" in report.stopped
    # The first chunk is as it was.
    assert (report.ok, report.pending) == (10, 15)
    assert {lead.city for lead in sink.arrived} == {"Lund"}


async def test_a_worker_without_the_source_ends_the_run(hosts: Setup) -> None:
    source = NamedSource("crm", lambda: rows(25))
    submission = Submission(hosts, source, sink := RecordingSink())
    async with hosts.worker(sink):
        report = await submission.report()
    assert report.stopped is not None
    assert "this process has no source named crm" in report.stopped
    assert (report.pending, sink.calls) == (25, [])


async def test_a_sink_with_a_fault_ends_the_run(hosts: Setup, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(RecordingSink):
        async def send(self, records: Any) -> Any:
            raise ZeroDivisionError(records[0].email)

    report = await hosts.sync(hosts.table(rows(25)), Faulty())
    assert report.stopped is not None
    assert report.stopped.startswith("ZeroDivisionError in chunk")
    # Nobody knows what has arrived.
    assert 1 <= report.unknown <= hosts.in_flight
    assert "in send" in caplog.text
    assert "@example.com" not in caplog.text


# Who comes when.


async def test_workers_may_come_late(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._IDLE_POLLS", 4)
    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    await until(lambda: "no worker is consuming this run" in caplog.text)
    # Meanwhile the orders are given again and again.
    await asyncio.sleep(1)
    assert await submission.waiting() == 3
    assert caplog.text.count("no worker is consuming this run") == 1
    async with hosts.worker(sink):
        report = await submission.report()
    assert (report.ok, len(sink.calls)) == (25, 25)


async def test_a_state_store_is_for_one_run_at_a_time(hosts: Setup) -> None:
    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    await submission.given(3)
    for source in (hosts.table(rows(25)), hosts.table(rows(5), "others.csv")):
        with pytest.raises(StateStoreError, match="another process is using the state store"):
            await sync_leads(source, sink, state=hosts.store(), executor=hosts.executor())
    assert await submission.waiting() == 3
    async with hosts.worker(sink):
        assert (await submission.report()).ok == 25


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_a_worker_continues_while_files_change(hosts: Setup, kind: str) -> None:
    sink = RecordingSink()
    first, more = rows(CHUNK_ROWS, city="Lund"), rows(25, city="Lund")
    other = [{"city": "Ystad", "email": row["email"]} for row in more]
    async with hosts.worker(sink):
        # The second begins behind the first, which has not changed; in the third all is different.
        for table, sent in ((first, CHUNK_ROWS), (more, 25 - CHUNK_ROWS), (other, 25)):
            source = hosts.table(table)
            if kind == "xlsx":
                write_workbook(path := hosts.folder / "leads.xlsx", table)
                source = read_leads(path)
            report = await Submission(hosts, source, sink).report()
            assert (report.ok, report.stopped) == (sent, None)
    assert {lead.city for lead in sink.arrived[25:]} == {"Ystad"}


# Odds and ends.


async def test_calls_take_as_many_rows_as_they_may(hosts: Setup) -> None:
    sink = RecordingSink(batch_size=4)
    report = await hosts.sync(hosts.table(rows(25)), sink)
    assert report.ok == 25
    assert sorted(map(len, sink.calls)) == [1, 2, 2, 4, 4, 4, 4, 4]


async def test_sources_are_left_when_a_worker_ends(hosts: Setup) -> None:
    opened, left = [], []

    async def crm() -> AsyncIterator[dict[str, Any]]:
        opened.append(True)
        try:
            for row in rows(25):
                yield row
            await asyncio.sleep(0)
        finally:
            left.append(True)

    sink = RecordingSink()
    submission = Submission(hosts, NamedSource("crm", crm), sink)
    async with hosts.worker(sink, sources={"crm": crm}):
        assert (await submission.report()).ok == 25
    # By the process that began the run, and by the worker: again if the chunks were in another order.
    assert len(left) == len(opened) >= 2


async def test_a_run_without_anything_to_send_needs_no_worker(hosts: Setup) -> None:
    source = hosts.table(rows(25))
    await hosts.sync(source, RecordingSink())
    submission = Submission(hosts, source, RecordingSink())
    report = await submission.report()
    assert (report.skipped, report.stopped) == (25, None)
    report = await Submission(hosts, hosts.table([{"email": "x"}]), RecordingSink()).report()
    assert (report.rejected, report.stopped) == (1, None)


async def test_a_full_run_that_is_joined_repeats_nothing(hosts: Setup) -> None:
    source = hosts.table(rows(25, city="Lund"))
    await hosts.sync(source, RecordingSink())
    sink = Gate()
    first = Submission(hosts, source, sink, resend=Resend(unchanged=True))
    async with hosts.worker(sink):
        await until(lambda: sink.begun == CALLS * CHUNKS)
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        sink.open.set()
        await until(lambda: len(sink.arrived) == 25)
        second = Submission(hosts, source, sink, resend=Resend(unchanged=True))
        report = await second.report()
    assert report.stopped is None
    assert report.ok + report.skipped == 25
    assert len(sink.calls) == 25


async def test_the_account_names_the_queue(hosts: Setup) -> None:
    one, two = (
        OwnRedisState(hosts.server.url, account=account, name="a").queue for account in (ACCOUNT, "other")
    )
    assert one != two
    assert OwnRedisState(hosts.server.url, account=ACCOUNT, name="b").queue != one
