"""Workers on hosts that differ: one lacks the source, one ends; the others carry on at once."""

from __future__ import annotations

import time

import pytest

from publitrac_async.bulk import NamedSource
from tests.support.executor_setups import Gate, Setup, Submission, until
from tests.support.sinks import RecordingSink

ROWS = [{"email": f"lead{number}@example.com"} for number in range(60)]


def rows() -> list[dict[str, str]]:
    return ROWS


async def test_a_worker_that_lacks_the_source_gives_its_chunks_back(
    hosts: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    sink, source = RecordingSink(turns=200), NamedSource("crm", rows)
    async with hosts.worker(sink, sources={}), hosts.worker(sink, sources={"crm": rows}, chunks=1):
        report = await Submission(hosts, source, sink).report()
    assert (report.ok, report.pending, report.stopped) == (60, 0, None)
    told = [
        record.message for record in caplog.records if "takes no more chunks of this run" in record.message
    ]
    assert told
    assert "this process has no source named crm" in told[0]


async def test_the_run_stops_when_no_worker_can_open_the_source(
    hosts: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, source = RecordingSink(), NamedSource("crm", rows)
    async with hosts.worker(sink, sources={}):
        report = await Submission(hosts, source, sink).report()
    assert report.pending == 60
    assert report.stopped is not None
    assert report.stopped.startswith("no worker can open the source: this process has no source named crm")


async def test_a_worker_that_ends_releases_its_rows_at_once(hosts: Setup) -> None:
    sink = Gate()
    source = hosts.table(ROWS)
    async with hosts.worker(sink, chunks=2, redelivery=600.0) as first:
        submission = Submission(hosts, source, sink)
        await until(lambda: sink.begun > 0)
        async with hosts.worker(sink, chunks=1, redelivery=600.0):
            first.request()
            begun = time.monotonic()
            sink.open.set()
            report = await submission.report()
    assert (report.ok, report.stopped) == (60, None)
    assert time.monotonic() - begun < 25  # Far less than the redelivery.
    assert len(set(sink.emails)) == len(sink.emails) == 60
