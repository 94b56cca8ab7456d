"""`sync_leads`: extract, transform, plan, send, verify, report."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from publitrac_async.bulk.arguments import check_arguments, check_run
from publitrac_async.bulk.errors import SourceError, StateStoreError
from publitrac_async.bulk.executor import Executor, LocalExecutor, RunContext
from publitrac_async.bulk.extract import extract
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.metrics import Monitor, Phase, RunMetrics
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import Resend, plan
from publitrac_async.bulk.report.files import (
    mark_latest,
    prepare_folder,
    remove_if_empty,
    run_folder,
    write_results,
    write_summary,
)
from publitrac_async.bulk.report.model import INTERRUPTED_READING, Duplicate, ReasonCount, Rejection, Report
from publitrac_async.bulk.rows import Item, Line, State
from publitrac_async.bulk.shutdown import Shutdown, cancelled
from publitrac_async.bulk.sinks.base import Sink, content_hash
from publitrac_async.bulk.sinks.publitrac import PublitracSink, as_sink
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.files import Files
from publitrac_async.bulk.sources.named import NamedSource
from publitrac_async.bulk.staging import SUPERSEDED, Staging
from publitrac_async.bulk.state.base import StateStore
from publitrac_async.bulk.state.memory import NullStateStore
from publitrac_async.bulk.state.sqlite import SqliteStateStore
from publitrac_async.bulk.transform import RowTransform
from publitrac_async.bulk.verify import Verification, Verify, read_back, verification_of
from publitrac_async.errors import ConfigurationError
from publitrac_async.frames import clears_frames_of_run
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2

#: Maximum number of rejections and duplicates in a report.
_LISTED: Final = 100
#: Maximum number of reasons in a report.
_REASONS: Final = 50


@clears_frames_of_run
async def sync_leads(
    source: Iterable[Item] | AsyncIterable[Item],
    sink: Sink[Any] | V1 | V2,
    *,
    mapping: ColumnMapping | None = None,
    strict: bool = False,
    min_rows: int | None = None,
    state: str | Path | StateStore | None = None,
    reset: bool = False,
    resend: Resend | None = None,
    concurrency: int | None = None,
    executor: Executor | None = None,
    error_budget: ErrorBudget | None = None,
    verify: Verify | None = None,
    results_dir: str | Path | None = None,
    monitor: Monitor | None = None,
    shutdown: Shutdown | None = None,
) -> Report:
    """Sync leads to a service and report the outcome of every row.

    All rows are first read into a temporary file; then the last row of each key is sent. Memory use does not
    grow with the number of rows. With a state store, unchanged rows are skipped, and the same call resumes a
    run that was killed.

    Args:
        source: result of `read_leads` or `read_sql`, or a finite iterable (async or not) of mappings or
            leads.
        sink: ``publitrac.v2`` (queues leads), ``publitrac.v1`` (processes leads), or a `Sink`.
        mapping: mapping of columns to fields; by default columns are named like fields, and all others are
            custom fields.
        strict: reject rows with cells that look damaged, instead of warning about them.
        min_rows: smallest number of rows; a source with fewer is refused before the first call. The default
            is 1 for files, otherwise 0.
        state: state store, or path of its file, which is created if missing. The run opens the state store
            and closes it at the end. The state store can be opened again; its `SharedRedis` stays open.
        reset: delete all entries of the state store first. Excludes `resend`.
        resend: rows to send although the state store has an outcome for them.
        concurrency: maximum number of calls in flight from this process; by default as many as the client
            allows, see `LocalExecutor`. Excludes `executor`.
        executor: sends the rows; by default `LocalExecutor`.
        error_budget: limits of failures that end the run.
        verify: settings for reading leads back through v1 after the run.
        results_dir: folder for results; by default ``NAME.results`` beside a state file. Each run creates a
            folder in it, named after its start time, with result files, summary and report; the link
            ``latest`` points to the last one.
        monitor: progress listener and call meter.
        shutdown: request to end the run; see `Shutdown`.

    Returns:
        The report, with the failures of rows and the reason for an early end: rejected credentials, an
        exceeded error budget, a full disk, an interruption.

    Raises:
        ConfigurationError: a setting is unusable, or contradicts another.
        SourceError: the source is unreadable; no row was sent.
        MappingError: the mapping does not fit the source; no row was sent.
        StateStoreError: the state store cannot be opened, or fails before the first call; no row was sent.
    """
    target = as_sink(sink)
    check_arguments(
        source,
        target,
        state,
        mapping=mapping,
        resend=resend,
        error_budget=error_budget,
        verify=verify,
        monitor=monitor,
        shutdown=shutdown,
    )
    check_run(executor, min_rows, results_dir)
    if concurrency is not None and executor is not None:
        raise ConfigurationError("concurrency belongs to the executor: leave out concurrency or executor")
    if state is None and (reset or resend not in (None, Resend())):
        raise ConfigurationError("reset and resend need a state store: pass state, or leave them out")
    if reset and resend not in (None, Resend()):
        raise ConfigurationError("reset deletes the outcomes that resend is about: leave out one of them")
    if verify is not None and not isinstance(target, PublitracSink):
        raise ConfigurationError("verify reads leads back from PUBLITRAC: use it with a PUBLITRAC sink only")
    path = Path(state) if isinstance(state, str | Path) else None
    if path is not None and (not path.name or path.is_dir()):
        raise StateStoreError("state must be the path of a file: this path is a folder, or empty")
    if results_dir is None and path is not None:
        results_dir = path.with_suffix(".results")
    if executor is None:
        executor = LocalExecutor(concurrency)
    run = _Run(
        name=source.name if isinstance(source, FileSource | NamedSource) else type(source).__name__,
        source_hash=source.source_hash() if isinstance(source, FileSource) else None,
        executor=executor,
        context=RunContext(
            source=source,
            sink=target,
            transform=RowTransform(target.to_record, mapping, strict, getattr(target, "own_columns", None)),
            staging=Staging(),
            store=_store(state),
            error_budget=error_budget or ErrorBudget(),
            metrics=RunMetrics(monitor),
            shutdown=shutdown or Shutdown(),
        ),
        min_rows=min_rows if min_rows is not None else int(isinstance(source, FileSource)),
        reset=reset,
        resend=resend or Resend(),
        verify=verify,
        folder=None if results_dir is None else Path(results_dir),
    )
    return await run.execute()


@frozen(kw_only=True)
class _Run:
    name: str
    source_hash: str | None
    executor: Executor
    context: RunContext
    min_rows: int
    reset: bool
    resend: Resend
    verify: Verify | None
    folder: Path | None
    started_at: dt.datetime = field(factory=lambda: dt.datetime.now(dt.UTC))

    async def execute(self) -> Report:
        """Run all steps, and close everything that the run opened."""
        run = self.context
        self.executor.check(run)
        run.metrics.begin_run(self.name, run.sink.name)
        try:
            report = await self._opened()
        except BaseException as error:
            run.metrics.end_run({}, error=error)
            raise
        run.metrics.end_run(_counts(report), stopped=report.stopped is not None)
        return report

    async def _opened(self) -> Report:
        run = self.context
        async with AsyncExitStack() as stack:
            await run.store.open(run.sink.destination, run=self._fingerprint(), reset=self.reset)
            stack.push_async_callback(_closed, run.store)
            if self.folder is not None:
                prepare_folder(self.folder)
                stack.callback(remove_if_empty, self.folder)
            stack.push_async_callback(_closed, run.staging)
            await run.staging.open()
            ticker = asyncio.create_task(_tick(run.metrics))
            stack.callback(ticker.cancel)
            return await self._steps()

    async def _steps(self) -> Report:
        run = self.context
        source_changed = await run.store.note_source(self.name, self.source_hash)
        stopped = await self._extract()
        if stopped is None:
            await plan(run.staging, run.store, self.resend, idempotent=run.sink.idempotent)
            stopped = await self._send()
        verification = None
        if self.verify is not None and stopped is None:
            verification = await self._verify(self.verify)
        report = await self._report()
        report = evolve(report, source_changed=source_changed, stopped=stopped, verification=verification)
        return await self._write(report)

    def _fingerprint(self) -> str:
        """Return a hash of all that two runs must share for one to join the other; empty if none can."""
        if not self.executor.fingerprint:
            return ""
        parts = (
            self.name,
            self.source_hash,
            self.context.sink.destination,
            self.resend,
            self.reset,
            self.context.transform.mapping,
            self.executor.fingerprint,
        )
        return content_hash([repr(part) for part in parts]).hex()

    async def _extract(self) -> str | None:
        """Stage all rows; return the reason why the run must not send them, ``None`` if it may."""
        run = self.context
        run.metrics.start(Phase.READING, None)
        rows = await extract(run.source, run.staging, run.transform, run.metrics, run.shutdown)
        run.metrics.finish()
        if run.shutdown.requested:
            return INTERRUPTED_READING
        if self.min_rows and isinstance(run.source, Files) and run.source.without_rows:
            raise SourceError(f"{', '.join(run.source.without_rows)}: no rows")
        if rows < self.min_rows:
            raise SourceError(f"{self.name} has {rows:,} rows, fewer than min_rows={self.min_rows:,}")
        counts = await run.staging.counts()
        return run.error_budget.check_source(counts[State.REJECTED], rows)

    async def _send(self) -> str | None:
        run = self.context
        counts = await run.staging.counts()
        pending = counts.pop(State.PENDING)
        run.metrics.start(Phase.SENDING, pending, counts)
        try:
            return await self.executor.execute(run)
        except StateStoreError as error:
            return f"StateStoreError: {error.message}"
        finally:
            run.metrics.tick()

    async def _verify(self, verify: Verify) -> Verification:
        run = self.context
        counts = await run.staging.counts()
        run.metrics.start(Phase.VERIFYING, counts[State.OK] + counts[State.ACCEPTED], counts)
        reading = asyncio.create_task(read_back(verify, run.staging, run.transform, run.metrics))
        draining = asyncio.create_task(run.shutdown.draining.wait())
        try:
            await asyncio.wait([reading, draining], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            await cancelled(reading, draining)
            run.metrics.tick()
        return await verification_of(run.staging, stopped="interrupted")

    async def _report(self) -> Report:
        source, staging, metrics = self.context.source, self.context.staging, self.context.metrics
        counts = await staging.counts()
        metrics.start(Phase.FINISHED, sum(counts.values()), counts)
        rejected = await staging.first(State.REJECTED, limit=_LISTED)
        duplicates, superseded = await staging.superseded(limit=_LISTED)
        return Report(
            source=source.description if isinstance(source, FileSource) else self.name,
            sink=self.context.sink.name,
            rows=sum(counts.values()),
            ok=counts[State.OK],
            accepted=counts[State.ACCEPTED],
            rejected=counts[State.REJECTED],
            skipped=counts[State.SKIPPED],
            unknown=counts[State.UNKNOWN],
            pending=counts[State.PENDING],
            duplicates=duplicates,
            errors=await staging.error_counts(),
            reasons=tuple(
                ReasonCount(state=state, reason=reason, count=count, lines=lines)
                for state, reason, count, lines in await staging.reasons(limit=_REASONS)
            ),
            warnings=tuple(self.context.transform.notes.warnings),
            withheld=dict(self.context.transform.notes.withheld),
            pending_reasons=await staging.pending_reasons(),
            rejections=tuple(
                Rejection(line=row.line, reason=row.outcome.reason or "", code=row.outcome.code)
                for row in rejected
            ),
            superseded=tuple(
                Duplicate(
                    line=row.line, superseded_by=_line((row.outcome.reason or "").removeprefix(SUPERSEDED))
                )
                for row in superseded
            ),
            results_dir=None,
            started_at=self.started_at,
            seconds=metrics.elapsed,
            rate_limit=metrics.rate_limit,
            timeline=tuple(metrics.timeline),
        )

    async def _write(self, report: Report) -> Report:
        """Write the result files; return the report, with a reason if they cannot be written."""
        if self.folder is None:
            return report
        try:
            folder = run_folder(self.folder, self.started_at)
            report = evolve(report, results_dir=folder)
            if report.stopped != INTERRUPTED_READING:  # The files would lack the rows that were not read.
                await write_results(folder, self.context.staging, self.context.source)
            write_summary(folder, report)
            mark_latest(folder)
        except Exception as error:  # noqa: BLE001  (no content of a row may cost the report)
            detail = error.strerror if isinstance(error, OSError) else type(error).__name__
            reason = f"the result files cannot be written: {detail}"
            return evolve(report, stopped=report.stopped or reason, results_dir=None)
        return report


def _line(text: str) -> Line:
    return int(text) if text.isdecimal() else text


def _store(state: str | Path | StateStore | None) -> StateStore:
    if state is None:
        return NullStateStore()
    return SqliteStateStore(state) if isinstance(state, str | Path) else state


def _counts(report: Report) -> dict[State, int]:
    return {
        State.OK: report.ok,
        State.ACCEPTED: report.accepted,
        State.REJECTED: report.rejected,
        State.SKIPPED: report.skipped,
        State.UNKNOWN: report.unknown,
        State.PENDING: report.pending,
    }


async def _closed(opened: StateStore | Staging) -> None:
    await asyncio.shield(opened.aclose())


async def _tick(metrics: RunMetrics) -> None:
    while True:
        await asyncio.sleep(metrics.interval)
        metrics.tick()
