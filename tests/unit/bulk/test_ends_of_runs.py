"""Runs that end before their last row: by errors, an outage, the error budget, a request, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import (
    AuthenticationError,
    ConfigurationError,
    Conflict,
    Lead,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    PublitracError,
    QuotaExhausted,
    ValidationError,
)
from publitrac_async.bulk import ErrorBudget, Shutdown, sync_leads
from tests.support.runs import GENEROUS, run
from tests.support.sinks import RecordingSink, rows


@pytest.mark.parametrize("kind", [AuthenticationError, PermissionDenied, QuotaExhausted, ConfigurationError])
async def test_errors_that_concern_every_row_stop_the_run(kind: type[PublitracError]) -> None:
    sink = RecordingSink(lambda lead: kind("no"), turns=2)
    report = await run(rows(1000), sink, concurrency=4)
    assert report.stopped == f"{kind.__name__}: no"
    assert report.pending == 1000
    assert len(sink.calls) <= 8
    assert report.exit_code == 1


async def test_an_outage_stops_the_run() -> None:
    sink = RecordingSink(lambda lead: NotSent("refused"))
    report = await run(rows(1000), sink, concurrency=4, error_budget=ErrorBudget(in_a_row=20))
    assert report.stopped == "20 calls in a row got no usable response: the service appears to be down"
    assert report.pending == 1000
    assert 20 <= len(sink.calls) <= 24


async def test_one_failed_call_of_a_batch_sink_leaves_the_default_budget_intact() -> None:
    calls = 0

    class OneFailure(RecordingSink):
        async def send(self, contents: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise NotSent("refused")
            return await super().send(contents)

    report = await sync_leads(rows(3000), OneFailure(batch_size=300), concurrency=1)
    assert report.stopped is None
    assert (report.ok, report.pending, calls) == (2700, 300, 10)


async def test_an_outage_of_a_batch_sink_ends_the_run_after_as_many_calls_as_of_others() -> None:
    def refuse(lead: Lead) -> PublitracError:
        return NotSent("refused")

    batches = RecordingSink(refuse, batch_size=10)
    report = await sync_leads(rows(1000), batches, concurrency=1)
    assert report.stopped == "50 calls in a row got no usable response: the service appears to be down"
    assert len(batches.calls) == 50


async def test_failures_of_an_earlier_run_do_not_count_against_the_next(tmp_path: Path) -> None:
    source, state = rows(1000), tmp_path / "run.sqlite"
    refusing = RecordingSink(lambda lead: Conflict("several") if int(lead.email[4:-12]) % 4 else None)
    first = await sync_leads(source[:-10], refusing, state=state, error_budget=ErrorBudget(share=1))
    assert first.rejected > 700
    second = await sync_leads(source, RecordingSink(), state=state)
    assert (second.stopped, second.rejected, second.ok) == (None, first.rejected, 10)
    again = tmp_path / "again.sqlite"
    lost = RecordingSink(lambda lead: OutcomeUnknown("lost"), idempotent=False)
    await sync_leads(source, lost, state=again, error_budget=GENEROUS)
    third = await sync_leads(rows(1010), RecordingSink(idempotent=False), state=again)
    assert (third.stopped, third.unknown, third.ok) == (None, 1000, 10)


async def test_single_failures_are_no_outage() -> None:
    sink = RecordingSink(lambda lead: NotSent("refused") if "7" in lead.email else None)
    report = await run(rows(200), sink, concurrency=1, error_budget=ErrorBudget(in_a_row=11))
    assert report.stopped is None


async def test_the_error_budget_stops_the_run() -> None:
    sink = RecordingSink(lambda lead: ValidationError("no") if int(lead.email[4:-12]) % 2 else None)
    report = await run(rows(1000), sink, concurrency=1, error_budget=ErrorBudget(failures=10, share=0.4))
    assert report.stopped == "11 failures in 22: the error budget is exceeded"
    assert (report.ok, report.rejected, report.pending) == (11, 11, 978)


async def test_a_wrong_mapping_stops_the_run_before_its_first_call() -> None:
    sink = RecordingSink()
    source = [*rows(50), *({"email": f"wrong{number}"} for number in range(150))]
    report = await run(source, sink, error_budget=ErrorBudget(failures=100, share=0.5))
    assert report.stopped == "150 of 200 rows cannot be sent: the error budget is exceeded"
    assert (sink.calls, report.pending, report.rejected) == ([], 50, 150)


async def test_a_sink_that_breaks_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    class Broken(RecordingSink):
        async def send(self, records: Any) -> Any:
            if len(self.calls) == 10:
                raise ZeroDivisionError
            return await super().send(records)

    store = tmp_path / "state.sqlite"
    broken = Broken()
    with pytest.raises(ZeroDivisionError):
        await sync_leads(rows(100), broken, state=store, concurrency=1)
    sink = RecordingSink()
    report = await run(rows(100), sink, state=store)
    assert (report.skipped, report.ok) == (10, 90)
    assert not set(sink.emails) & set(broken.emails)


async def test_a_source_that_breaks_sends_nothing() -> None:
    def source() -> Iterator[dict[str, str]]:
        yield from rows(700)
        raise OSError("the share went away")

    sink = RecordingSink()
    with pytest.raises(OSError, match="the share went away"):
        await sync_leads(source(), sink)
    assert sink.calls == []


async def test_the_first_request_drains_and_the_second_cancels(tmp_path: Path) -> None:
    shutdown = Shutdown()

    class Slow(RecordingSink):
        async def send(self, records: Any) -> Any:
            if len(self.calls) == 10:
                shutdown.request()
            return await super().send(records)

    slow = Slow(turns=5)
    report = await run(rows(100), slow, concurrency=4, shutdown=shutdown, state=tmp_path / "state.sqlite")
    assert report.stopped == "interrupted"
    assert report.exit_code == 130
    assert report.ok == len(slow.arrived) < 20
    assert report.unknown == 0
    assert report.pending == 100 - report.ok

    shutdown = Shutdown()
    hanging = Hanging(shutdown)
    report = await run(rows(100), hanging, concurrency=4, shutdown=shutdown, state=tmp_path / "state.sqlite")
    assert report.stopped == "interrupted"
    assert report.unknown == 4
    assert report.skipped == len(slow.arrived)

    sink = RecordingSink()
    report = await run(rows(100), sink, state=tmp_path / "state.sqlite")
    assert report.ok == 100 - len(slow.arrived)
    assert set(hanging.emails_seen) <= set(sink.emails)


class Hanging(RecordingSink):
    """Requests the end twice when all its calls hang."""

    def __init__(self, shutdown: Shutdown) -> None:
        super().__init__()
        self.stop = shutdown
        self.emails_seen: list[str] = []

    async def send(self, records: Any) -> Any:
        self.emails_seen += [lead.email for lead in records]
        if len(self.emails_seen) == 4:
            self.stop.request()
            self.stop.request()
        await asyncio.Event().wait()


async def test_after_a_cancelled_task_the_state_store_has_the_rows_in_flight(tmp_path: Path) -> None:
    store = tmp_path / "state.sqlite"
    hanging = Hanging(Shutdown())
    task = asyncio.create_task(sync_leads(rows(50), hanging, state=store, concurrency=3))
    while len(hanging.emails_seen) < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    appending = RecordingSink(idempotent=False)
    report = await run(rows(50), appending, state=store)
    assert (report.unknown, report.ok) == (3, 47)
    assert not set(appending.emails) & set(hanging.emails_seen)


async def test_a_request_while_reading_ends_the_run_before_its_first_call() -> None:
    shutdown = Shutdown()

    def source() -> Iterator[dict[str, str]]:
        for number, row in enumerate(rows(5000)):
            if number == 1200:
                shutdown.request()
            yield row

    sink = RecordingSink()
    report = await run(source(), sink, shutdown=shutdown)
    assert sink.calls == []
    assert report.stopped == "interrupted while reading the source; no row was sent"
    assert report.pending == report.rows == 1500
