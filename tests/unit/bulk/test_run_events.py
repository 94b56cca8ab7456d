"""Events, spans and metrics of bulk runs and of the chunks of workers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace

from publitrac_async import (
    AuthenticationError,
    ChunkEnded,
    ChunkStarted,
    Conflict,
    Lead,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    RowsCompleted,
    RunEnded,
    RunEvent,
    RunStarted,
    ServerError,
)
from publitrac_async.bulk import ErrorBudget, Monitor, Shutdown, SourceError, sync_leads
from publitrac_async.bulk.distributed.chunk import Chunk
from publitrac_async.bulk.distributed.worker import ChunkWorker
from tests.support.clients import client
from tests.support.sinks import RecordingSink, rows
from tests.support.telemetry import Recorder

from .test_chunks import Claim, OneChunk, task

__all__ = ["task"]  # A fixture.

GENEROUS = ErrorBudget(share=1, in_a_row=10_000)


def mixed(lead: Lead) -> PublitracError | None:
    return {
        "lead1@example.com": Conflict("several match"),
        "lead2@example.com": OutcomeUnknown("lost"),
        "lead3@example.com": NotSent("refused"),
    }.get(str(lead.email))


async def test_a_run_begins_and_ends_once_and_its_rows_are_those_of_the_report(tmp_path: Path) -> None:
    events: list[RunEvent] = []
    source = [*rows(8), {"email": "no address"}, *rows(1)]
    report = await sync_leads(
        source,
        RecordingSink(mixed),
        state=tmp_path / "state.sqlite",
        error_budget=GENEROUS,
        monitor=Monitor(hooks=[events.append]),
    )
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert {type(event) for event in events[1:-1]} == {RowsCompleted}
    assert len({event.run_id for event in events}) == 1
    assert events[0].sink == "recording"
    ended = events[-1]
    assert ended.outcomes == {state.value: rows for state, rows in report.counts.items() if rows}
    assert sum(ended.outcomes.values()) == 10
    assert not ended.stopped


async def test_a_run_that_raises_or_is_cancelled_ends(tmp_path: Path) -> None:
    events: list[RunEvent] = []
    monitor = Monitor(hooks=[events.append])

    def broken() -> Any:
        yield {"email": "ada@example.com"}
        raise SourceError("gone")

    with pytest.raises(SourceError):
        await sync_leads(broken(), RecordingSink(), monitor=monitor)
    waiting = asyncio.create_task(sync_leads(rows(5), RecordingSink(turns=10**6), monitor=monitor))
    while not any(isinstance(event, RunStarted) for event in events[2:]):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert [event.error for event in events if isinstance(event, RunEnded)] == [
        "SourceError",
        "CancelledError",
    ]


async def test_a_hook_that_raises_ends_no_run(caplog: pytest.LogCaptureFixture) -> None:
    def bad(event: RunEvent) -> None:
        raise RuntimeError("ada@example.com")

    report = await sync_leads(rows(5), RecordingSink(), monitor=Monitor(hooks=[bad]))
    assert report.ok == 5
    assert "a hook raised RuntimeError at RunEnded" in caplog.text
    assert "ada@" not in caplog.text


async def test_a_run_is_a_span_above_its_calls_and_its_rows_are_counted() -> None:
    recorder = Recorder()
    hook = recorder.hook()

    def respond(request: httpx.Request) -> httpx.Response:
        if "getToken" in request.url.path:
            return httpx.Response(200, json={"token": "t", "ttl": "900"})
        return httpx.Response(200, json={"status": "success", "code": 200})

    async with client("https://a.example.com", transport=httpx.MockTransport(respond), hooks=[hook]) as made:
        with recorder.tracer().start_as_current_span("nightly"):
            report = await sync_leads(
                [*rows(6), {"email": "no address"}],
                made.v2,
                error_budget=GENEROUS,
                monitor=Monitor(hooks=[hook]),
            )
    (run,) = (span for span in recorder.spans if span.name == "publitrac bulk run")
    assert run.parent is not None
    calls = recorder.calls()
    assert len(calls) == 6
    assert {span.parent.span_id for span in calls if span.parent} == {run.context.span_id}
    assert run.attributes is not None
    assert (run.attributes["publitrac.rows.accepted"], run.attributes["publitrac.rows.rejected"]) == (6, 1)
    counted = {p.attributes["publitrac.outcome"]: p.value for p in recorder.points()["publitrac.bulk.rows"]}
    assert counted == {state.value: rows for state, rows in report.counts.items() if rows}
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert "@example.com" not in " ".join(span.to_json() for span in recorder.spans)


@pytest.mark.parametrize(
    ("response", "stopped", "outcomes"),
    [
        (mixed, False, {"ok": 3, "rejected": 1, "unknown": 1, "pending": 1}),
        (lambda _: AuthenticationError("refused"), True, {"pending": 2}),
    ],
)
async def test_a_chunk_is_a_span_of_its_worker(
    task: Chunk, response: Any, stopped: bool, outcomes: dict[str, int]
) -> None:
    events: list[RunEvent] = []
    recorder = Recorder()
    worker = ChunkWorker(
        RecordingSink(response),
        OneChunk(Claim()),  # type: ignore[arg-type]
        concurrency=2,
        shutdown=Shutdown(),
        hooks=[events.append, recorder.hook()],
    )
    await worker.execute(task)
    await worker.aclose()
    started, ended = events
    assert isinstance(started, ChunkStarted)
    assert isinstance(ended, ChunkEnded)
    assert (started.job, started.chunk, started.run_id) == ("job", 0, ended.run_id)
    assert (ended.stopped, ended.outcomes) == (stopped, outcomes)
    (span,) = recorder.spans
    assert span.name == "publitrac bulk chunk"
    assert span.attributes is not None
    assert {f"publitrac.rows.{state}": rows for state, rows in outcomes.items()}.items() <= dict(
        span.attributes
    ).items()


async def test_a_chunk_that_is_handed_on_ends_as_stopped(task: Chunk) -> None:
    events: list[RunEvent] = []
    shutdown = Shutdown()
    shutdown.request()
    worker = ChunkWorker(
        RecordingSink(lambda _: ServerError("away")),
        OneChunk(Claim()),  # type: ignore[arg-type]
        concurrency=2,
        shutdown=shutdown,
        hooks=[events.append],
    )
    assert not await worker.execute(task)
    await worker.aclose()
    ended = events[-1]
    assert isinstance(ended, ChunkEnded)
    assert (ended.error, ended.stopped) == (None, True)
