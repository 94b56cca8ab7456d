"""How runs and workers of the engine of many hosts end, and what they leave to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from publitrac_async import ServerError
from publitrac_async.bulk import (
    ErrorBudget,
    Monitor,
    Outcome,
    Shutdown,
    State,
)
from publitrac_async.bulk.distributed import docket
from publitrac_async.bulk.distributed.docket import serve
from tests.support.executor_setups import CALLS, CHUNK_ROWS, CHUNKS, Gate, Setup, Submission, until
from tests.support.sinks import RecordingSink, rows


async def test_everything_is_closed_at_the_end(hosts: Setup) -> None:
    async def connections() -> int:
        return len((await hosts.server.ask("CLIENT", "LIST", "TYPE", "normal")).splitlines())

    before = await connections()
    await hosts.sync(hosts.table(rows(25)), RecordingSink())
    assert asyncio.all_tasks() == {asyncio.current_task()}
    async with asyncio.timeout(30):
        while await connections() > before:
            await asyncio.sleep(0.01)


async def test_a_cancelled_worker_lets_its_calls_end(hosts: Setup) -> None:
    first, second = Gate(), RecordingSink()
    source = hosts.table(rows(25))
    submission = Submission(hosts, source, second)
    store = hosts.store()
    serving = asyncio.create_task(serve(first, store, concurrency=CALLS, chunks=CHUNKS, redelivery=1))
    await until(lambda: first.begun == CALLS * CHUNKS)
    serving.cancel()
    await asyncio.sleep(0.1)
    first.open.set()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await store.aclose()
    assert len(first.arrived) == CALLS * CHUNKS
    async with hosts.worker(second):
        report = await submission.report()
    assert (report.ok, report.unknown, len(second.arrived)) == (25, 0, 25 - CALLS * CHUNKS)


@pytest.mark.parametrize("turns", [0, 3, 30])
async def test_rows_that_a_worker_leaves_go_to_others(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    # Nobody gives an order twice: what is lost stays lost.
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._IDLE_POLLS", 10**6)
    shutdown = Shutdown()

    class Stopping(RecordingSink):
        async def send(self, records: Any) -> Any:
            responses = await super().send(records)
            if len(self.arrived) == 5:
                for _ in range(turns):
                    await asyncio.sleep(0)
                shutdown.request()
            return responses

    first, second = Stopping(), RecordingSink()
    submission = Submission(hosts, hosts.table(rows(25)), second)
    async with hosts.worker(first, shutdown=shutdown):
        await until(lambda: shutdown.requested)
    async with hosts.worker(second):
        report = await submission.report()
    assert (report.ok, report.stopped) == (25, None)
    assert sorted(first.emails + second.emails) == sorted(row["email"] for row in rows(25))


async def test_a_chunk_is_not_lost_in_the_moment_in_which_its_worker_is_asked_to_end(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._IDLE_POLLS", 10**6)
    shutdown = Shutdown()

    async def execute(self: Any, task: Any) -> None:
        shutdown.request()
        # Here docket does not know of it yet.
        raise asyncio.CancelledError

    sink = RecordingSink()
    submission = Submission(hosts, hosts.table(rows(5)), sink)
    with monkeypatch.context() as patch:
        patch.setattr(docket.ChunkWorker, "execute", execute)
        async with hosts.worker(sink, shutdown=shutdown):
            await until(lambda: shutdown.requested)
    async with hosts.worker(sink):
        assert (await submission.report()).ok == 5


async def test_a_chunk_that_another_worker_has_taken_over_does_not_end_the_run(hosts: Setup) -> None:
    sink = Gate()
    submission = Submission(hosts, hosts.table(rows(25)), sink)
    async with hosts.worker(sink, chunks=1):
        await until(lambda: sink.begun == CALLS)
        # The worker was stalled for so long that somebody else has its first chunk by now.
        other = hosts.store()
        held = await other.claim(submission.store.job or "", 0)
        assert held is not None
        keys = [row["email"] for row in rows(CHUNK_ROWS)]
        async with held:
            await held.lookup(keys)
            sink.open.set()
            await until(lambda: len(sink.arrived) == 25 - CHUNK_ROWS + CALLS)
            assert not submission.task.done()
            assert await held.begin(keys[CALLS:])
            await held.complete([(key, Outcome(State.OK)) for key in keys[CALLS:]])
            await held.end()
        await other.aclose()
        report = await submission.report()
    assert report.stopped is None
    assert (report.ok, report.unknown) == (25 - CALLS, CALLS)


async def test_the_second_request_to_end_leaves_at_once(hosts: Setup) -> None:
    shutdown = Shutdown()
    sink = Gate()
    submission = Submission(hosts, hosts.table(rows(25)), sink, shutdown=shutdown)
    async with hosts.worker(sink):
        await until(lambda: sink.begun == CALLS * CHUNKS)
        shutdown.request()
        shutdown.request()
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
    assert report.stopped.startswith("StateStoreError: ")
    assert "lost its data" in report.stopped


async def test_the_report_has_the_rows_sent_before_redis_lost_everything(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publitrac_async.bulk.distributed.submission._COPY_INTERVAL", 0.0)
    sink, seen = Gate(), []

    def let_some_through(lead: Any) -> None:
        if len(sink.arrived) >= CALLS - 1:
            sink.open.clear()

    sink._error_of = let_some_through
    sink.open.set()
    monitor = Monitor(lambda progress: seen.append(progress.counts.get(State.OK, 0)), interval=0.02)
    submission = Submission(hosts, hosts.table(rows(25)), sink, monitor=monitor)
    async with hosts.worker(sink, chunks=1):
        # No chunk has ended; the process that began the run knows all the same.
        await until(lambda: bool(seen) and seen[-1] == len(sink.arrived) >= CALLS)
        sent = len(sink.arrived)
        await hosts.server.ask("FLUSHALL")
        sink.open.set()
        report = await submission.report()
    assert report.stopped is not None
    assert "lost its data" in report.stopped
    assert "rows that workers sent in the last seconds count as pending" in report.stopped
    assert (report.ok, report.pending) == (sent, 25 - sent)


async def test_earlier_failures_do_not_count_in_a_run_that_joins(hosts: Setup) -> None:
    sink, refuse = Gate(), [True]

    def fail_at_first(lead: Any) -> ServerError | None:
        return ServerError("HTTP 503") if refuse[0] else None

    sink._error_of = fail_at_first
    sink.open.set()
    source = hosts.table(rows(25))
    async with hosts.worker(sink, chunks=1):
        first = Submission(hosts, source, sink)
        await until(lambda: len(sink.calls) >= CHUNK_ROWS)
        sink.open.clear()
        failed = len(sink.calls)
        first.task.cancel()
        await asyncio.wait([first.task])
        await until(lambda: sink.begun > failed)
        refuse[0] = False
        strict = ErrorBudget(failures=0, share=0.0, in_a_row=5)
        second = Submission(hosts, source, sink, error_budget=strict)
        sink.open.set()
        report = await second.report()
    assert report.stopped is None
    assert report.pending >= CHUNK_ROWS
    assert (report.ok + report.skipped, report.rejected) == (25 - report.pending, 0)
    assert report.pending_reasons == {"ServerError: HTTP 503": report.pending}
