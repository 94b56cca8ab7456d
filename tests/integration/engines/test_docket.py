"""What the engine of many hosts does beyond what every engine does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from publitrac_async import AuthenticationError, ConfigurationError, RetryPolicy
from publitrac_async.bulk import (
    Again,
    DelayedSync,
    LedgerError,
    NamedSource,
    Report,
    SourceError,
    Stop,
    read_leads,
    read_sql,
    sync_leads,
)
from publitrac_async.bulk.engines import docket
from publitrac_async.bulk.engines.docket import DocketEngine, serve
from publitrac_async.redis import RedisLedger, shared
from publitrac_async.sandbox import Fault
from tests.support.clients import client
from tests.unit.bulk.sinks import RecordingSink, rows

from .setups import ACCOUNT, CALLS, CHUNK_ROWS, CHUNKS, GENEROUS, Setup, until, write_workbook


class Submission:
    """A run that goes on beside the test."""

    def __init__(self, hosts: Setup, source: Any, sink: Any, **options: Any) -> None:
        self.ledger = hosts.ledger()
        settings = {"engine": hosts.engine(), "budget": GENEROUS, "results_dir": hosts.results} | options
        self.task = asyncio.create_task(sync_leads(source, sink, ledger=self.ledger, **settings))
        self._hosts = hosts

    async def given(self, orders: int) -> None:
        """Wait until the orders for so many chunks lie in the queue."""
        async with asyncio.timeout(20):
            while not self.ledger.job or await self.waiting() < orders:
                await asyncio.sleep(0.01)

    async def waiting(self) -> int:
        return int(await self._hosts.server.ask("XLEN", f"{self.ledger.queue}:stream"))

    async def report(self) -> Report:
        async with asyncio.timeout(30):
            return await self.task


class Gate(RecordingSink):
    """Lets calls begin, and none end until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.open = asyncio.Event()

    async def send(self, records: Any) -> Any:
        self.begun += 1
        await self.open.wait()
        return await super().send(records)


class Untouched:
    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was read")


# Before anything is read.


@pytest.mark.parametrize("source", [[], iter(()), Untouched()])
async def test_a_source_that_others_cannot_open_is_refused(hosts: Setup, source: Any) -> None:
    with pytest.raises(SourceError, match="other processes cannot open"):
        await sync_leads(source, RecordingSink(), ledger=hosts.ledger(), engine=hosts.engine())
    assert await hosts.server.keys() == []


async def test_a_query_needs_a_name(hosts: Setup) -> None:
    source = read_sql(lambda: pytest.fail("it was read"), "SELECT 1", key="id")
    with pytest.raises(SourceError, match="NamedSource"):
        await sync_leads(source, RecordingSink(), ledger=hosts.ledger(), engine=hosts.engine())


@pytest.mark.parametrize("ledger", [None, "run.sqlite"])
async def test_a_ledger_for_one_process_is_refused(hosts: Setup, ledger: str | None) -> None:
    path = ledger and hosts.folder / ledger
    with pytest.raises(ConfigurationError, match="RedisLedger"):
        await sync_leads(hosts.table(rows(3)), RecordingSink(), ledger=path, engine=hosts.engine())
    assert not (hosts.folder / "run.sqlite").exists()


async def test_settings_that_cannot_be_used(hosts: Setup) -> None:
    for options in ({"workers": 0}, {"chunks": 0}, {"redelivery": 0}):
        with pytest.raises(ConfigurationError, match="at least 1"):
            await serve(hosts.server.url, RecordingSink(), hosts.ledger(), **options)
    with pytest.raises(ConfigurationError, match="chunk_rows"):
        DocketEngine(hosts.server.url, chunk_rows=0)


async def test_a_queue_that_cannot_be_reached(hosts: Setup) -> None:
    url = "redis://:secret@127.0.0.1:1"
    with pytest.raises(LedgerError, match="does not answer") as caught:
        await serve(url, RecordingSink(), RedisLedger(url, account=ACCOUNT, patience=0))
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert "secret" not in repr(DocketEngine(url))
    with pytest.raises(ConfigurationError, match="url must be") as refused:
        await serve("http://:secret@127.0.0.1", RecordingSink(), hosts.ledger())
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
    assert report.stopped.startswith("LedgerError: the queue in Redis does not answer (ConnectionResetError)")
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
    assert report.stopped == "a worker sends to another account, not to test"
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
    assert "this process knows no source named crm" in report.stopped
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
    monkeypatch.setattr(docket, "_LOOKS", 4)
    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    await until(lambda: "no worker takes the chunks" in caplog.text)
    # Meanwhile the orders are given again and again.
    await asyncio.sleep(1)
    assert await submission.waiting() == 3
    assert caplog.text.count("no worker takes the chunks") == 1
    async with hosts.worker(sink):
        report = await submission.report()
    assert (report.ok, len(sink.calls)) == (25, 25)


async def test_a_ledger_is_for_one_run_at_a_time(hosts: Setup) -> None:
    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    await submission.given(3)
    for source in (hosts.table(rows(25)), hosts.table(rows(5), "others.csv")):
        with pytest.raises(LedgerError, match="another process is using the ledger"):
            await sync_leads(source, sink, ledger=hosts.ledger(), engine=hosts.engine())
    assert await submission.waiting() == 3
    async with hosts.worker(sink):
        assert (await submission.report()).ok == 25


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_a_worker_lives_on_while_files_change(hosts: Setup, kind: str) -> None:
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


# What Redis and the logs get to see.


async def everything(hosts: Setup) -> str:
    """Whatever Redis holds, as text."""
    found = []
    for key in await hosts.server.ask("KEYS", "*"):
        kind = (await hosts.server.ask("TYPE", key)).decode()
        read = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "list": ("LRANGE", key, 0, -1),
            "set": ("SMEMBERS", key),
            "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
            "stream": ("XRANGE", key, "-", "+"),
            "none": ("EXISTS", key),  # Gone since.
        }[kind]
        content = [await hosts.server.ask(*read)]
        if kind == "stream":
            content.append(await hosts.server.ask("XINFO", "STREAM", key, "FULL"))
        found.append(f"{key!r}: {content!r}")
    return "\n".join(found)


async def test_redis_and_logs_see_neither_personal_data_nor_credentials(
    hosts: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    leads = [
        {
            "email": f"Berit.Lead{n}@Example.com",
            "firstName": f"Berit{n}",
            "city": "Vadstena",
            "carColor": "Crimson",
        }
        for n in range(40)
    ]
    leads[7]["email"] = "berit at nowhere"
    secrets = ["berit", "vadstena", "crimson", "example.com", hosts.sandbox.api_key]
    hosts.sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.02, times=None))
    # Some are refused, and some stay without an answer.
    hosts.sandbox.inject(
        Fault("status", match="v2.delayedSync", status=400, body="Berit is no lead", times=3)
    )
    hosts.sandbox.inject(Fault("drop", match="v2.delayedSync", after=5, times=8))
    dumps = []
    async with contextlib.AsyncExitStack() as stack:

        async def opened() -> DelayedSync:
            state = shared(hosts.server.url, account=hosts.sandbox.api_key, rate_limit=1000)
            settings = {"api_key": hosts.sandbox.api_key, "retry": RetryPolicy(attempts=1), **state}
            publitrac = client(hosts.sandbox.base_url, **settings)
            return DelayedSync((await stack.enter_async_context(publitrac)).v2)

        submission = Submission(hosts, hosts.table(leads), await opened())
        await submission.given(4)
        dumps.append(await everything(hosts))
        for _ in range(2):
            await stack.enter_async_context(hosts.worker(await opened()))
        while not submission.task.done():
            dumps.append(await everything(hosts))
            await asyncio.sleep(0.02)
        report = await submission.report()
        dumps.append(await everything(hosts))
    assert report.accepted
    assert report.rejected == 4
    assert max(dump.count(":stream'") for dump in dumps) > 0
    assert any("leads.csv" in dump for dump in dumps), "no order was seen"
    assert any(":token" in dump for dump in dumps)
    text = "\n".join([*dumps, caplog.text, *(str(record.__dict__) for record in caplog.records)]).lower()
    assert [secret for secret in secrets if secret.lower() in text] == []


async def test_nothing_of_a_finished_run_stays_in_redis(hosts: Setup) -> None:
    await hosts.sync(hosts.table(rows(25)), RecordingSink())
    ledger = hosts.ledger()
    ours = ledger.queue.removesuffix("default:queue")
    names = {key.removeprefix(ours) for key in await hosts.server.keys()}
    # What is known of leads, and an empty queue with the time of its last sweep.
    assert names - {"default:queue:leases:redelivery-sweep"} == {
        "ledger:default:leads",
        "ledger:default:facts",
        "default:queue:stream",
    }
    assert await hosts.server.ask("XLEN", f"{ledger.queue}:stream") == 0
    waiting = await hosts.server.ask("XPENDING", f"{ledger.queue}:stream", "docket-workers")
    assert waiting["pending"] == 0


# How it ends.


async def test_everything_is_closed_at_the_end(hosts: Setup) -> None:
    async def connections() -> int:
        return len((await hosts.server.ask("CLIENT", "LIST", "TYPE", "normal")).splitlines())

    before = await connections()
    await hosts.sync(hosts.table(rows(25)), RecordingSink())
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with asyncio.timeout(5):
        while await connections() > before:
            await asyncio.sleep(0.01)


async def test_a_cancelled_worker_lets_its_calls_end(hosts: Setup) -> None:
    first, second = Gate(), RecordingSink()
    source = hosts.table(rows(25))
    submission = Submission(hosts, source, second)
    serving = asyncio.create_task(
        serve(hosts.server.url, first, hosts.ledger(), workers=CALLS, chunks=CHUNKS, redelivery=1)
    )
    await until(lambda: first.begun == CALLS * CHUNKS)
    serving.cancel()
    await asyncio.sleep(0.1)
    first.open.set()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert len(first.arrived) == CALLS * CHUNKS
    async with hosts.worker(second):
        report = await submission.report()
    assert (report.ok, report.unknown, len(second.arrived)) == (25, 0, 25 - CALLS * CHUNKS)


@pytest.mark.parametrize("turns", [0, 3, 30])
async def test_what_a_worker_leaves_goes_to_others(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    # Nobody gives an order twice: what is lost stays lost.
    monkeypatch.setattr(docket, "_LOOKS", 10**6)
    stop = Stop()

    class Stopping(RecordingSink):
        async def send(self, records: Any) -> Any:
            answers = await super().send(records)
            if len(self.arrived) == 5:
                for _ in range(turns):
                    await asyncio.sleep(0)
                stop.request()
            return answers

    first, second = Stopping(), RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), second)
    async with hosts.worker(first, stop=stop):
        await until(lambda: stop.requested)
    async with hosts.worker(second):
        report = await submission.report()
    assert (report.ok, report.stopped) == (25, None)
    assert sorted(first.emails + second.emails) == sorted(row["email"] for row in rows(25))


async def test_a_chunk_is_not_lost_in_the_moment_in_which_its_worker_is_asked_to_end(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docket, "_LOOKS", 10**6)
    stop = Stop()

    async def carry_out(self: Any, order: Any) -> None:
        stop.request()
        # Here docket does not know of it yet.
        raise asyncio.CancelledError

    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(5)), sink)
    with monkeypatch.context() as patch:
        patch.setattr(docket.ChunkWorker, "carry_out", carry_out)
        async with hosts.worker(sink, stop=stop):
            await until(lambda: stop.requested)
    async with hosts.worker(sink):
        assert (await submission.report()).ok == 5


async def test_a_chunk_that_another_worker_has_taken_over_does_not_end_the_run(hosts: Setup) -> None:
    sink = Gate()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    async with hosts.worker(sink, chunks=1):
        await until(lambda: sink.begun == CALLS)
        # The worker was stalled for so long that somebody else has its first chunk by now.
        other = hosts.ledger()
        held = await other.take(submission.ledger.job or "", 0)
        assert held is not None
        keys = [row["email"] for row in rows(CHUNK_ROWS)]
        async with held:
            await held.recall(keys)
            sink.open.set()
            await until(lambda: len(sink.arrived) == 25 - CHUNK_ROWS + CALLS)
            assert not submission.task.done()
            assert await held.intend(keys[CALLS:])
            await held.settle([(key, docket.Outcome(docket.State.OK)) for key in keys[CALLS:]])
            await held.end()
        await other.aclose()
        report = await submission.report()
    assert report.stopped is None
    assert (report.ok, report.unknown) == (25 - CALLS, CALLS)


async def test_the_second_request_to_end_leaves_at_once(hosts: Setup) -> None:
    stop = Stop()
    sink = Gate()
    submission = Submission(hosts, hosts.table(rows(25)), sink, stop=stop)
    async with hosts.worker(sink):
        await until(lambda: sink.begun == CALLS * CHUNKS)
        stop.request()
        stop.request()
        report = await submission.report()
        sink.open.set()
    assert report.stopped == "interrupted"
    # Calls are under way: nobody knows yet how they end.
    assert (report.ok, report.unknown, report.pending) == (0, CALLS * CHUNKS, 25 - CALLS * CHUNKS)
    sink = RecordingSink()
    report = await hosts.sync(hosts.table(rows(25)), sink)
    # Their outcome was noted all the same.
    assert (report.skipped, report.ok) == (CALLS * CHUNKS, 25 - CALLS * CHUNKS)


async def test_a_redis_that_has_lost_everything_ends_the_run(hosts: Setup) -> None:
    sink = Gate()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    async with hosts.worker(sink):
        await until(lambda: sink.begun == CALLS * CHUNKS)
        await hosts.server.ask("FLUSHALL")
        sink.open.set()
        report = await submission.report()
    assert report.stopped is not None
    assert report.stopped.startswith("LedgerError: ")
    assert "lost its data" in report.stopped


# Odds and ends.


async def test_calls_take_as_many_rows_as_they_may(hosts: Setup) -> None:
    sink = RecordingSink(batch_size=4)
    report = await hosts.sync(hosts.table(rows(25)), sink)
    assert report.ok == 25
    assert sorted(map(len, sink.calls)) == [1, 2, 2, 4, 4, 4, 4, 4]


async def test_sources_are_left_when_a_worker_ends(hosts: Setup) -> None:
    left = []

    async def crm() -> AsyncIterator[dict[str, Any]]:
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
    # Once by the process that began the run, once by the worker.
    assert left == [True, True]


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
    first = Submission(hosts, source, sink, again=Again(full=True))
    async with hosts.worker(sink):
        await until(lambda: sink.begun == CALLS * CHUNKS)
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        sink.open.set()
        await until(lambda: len(sink.arrived) == 25)
        second = Submission(hosts, source, sink, again=Again(full=True))
        report = await second.report()
    assert report.stopped is None
    assert report.ok + report.skipped == 25
    assert len(sink.calls) == 25


async def test_the_account_names_the_queue(hosts: Setup) -> None:
    one, two = (
        RedisLedger(hosts.server.url, account=account, name="a").queue for account in (ACCOUNT, "other")
    )
    assert one != two
    assert RedisLedger(hosts.server.url, account=ACCOUNT, name="b").queue != one
