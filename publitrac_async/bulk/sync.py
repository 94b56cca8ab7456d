"""`sync_leads`: one call for a whole run."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from publitrac_async.bulk.confirm import Confirm, Confirmation, confirmation_of, read_back
from publitrac_async.bulk.engine import Engine, Stop, cancelled
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Ledger
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import CallMeter, Course, Listener, Phase
from publitrac_async.bulk.report import Duplicate, Rejection, Report
from publitrac_async.bulk.results import write_results, write_summary
from publitrac_async.bulk.rows import Item, State
from publitrac_async.bulk.sinks import Sink, as_sink
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.spool import SUPERSEDED, TABLES, Spool
from publitrac_async.config import CONCURRENCY
from publitrac_async.errors import ConfigurationError
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2

_SHOWN = 100


@frozen(kw_only=True)
class Again:
    """What a run does with rows that an earlier run with the same ledger has dealt with.

    Attributes:
        full: send rows again that have not changed.
        retry_rejected: send rows again that were rejected and have not changed.
        reset: forget everything the ledger knows, also which rows may have been sent.
    """

    full: bool = False
    retry_rejected: bool = False
    reset: bool = False


async def sync_leads(
    source: Iterable[Item] | AsyncIterable[Item],
    sink: Sink[Any] | V1 | V2,
    *,
    ledger: str | Path | None = None,
    again: Again | None = None,
    mapping: ColumnMapping | None = None,
    confirm: Confirm | None = None,
    workers: int = CONCURRENCY,
    budget: ErrorBudget | None = None,
    results_dir: str | Path | None = None,
    progress: Listener | None = None,
    calls: CallMeter | None = None,
    interval: float = 1.0,
    stop: Stop | None = None,
) -> Report:
    """Bring leads to a service, and give an account of every row.

    All rows are read first, into a temporary file; then the last row of each e-mail address is sent. Memory
    does not grow with the number of rows. With a ledger, rows that have not changed since an earlier run
    are left out, and a run that was killed is taken up by running it again.

    Args:
        source: what `read_leads` or `read_sql` returns, or any iterable, awaitable or not, of mappings or
            leads. It has to end.
        sink: ``publitrac.v2`` (leads are queued) or ``publitrac.v1`` (leads are processed), or any other.
        ledger: path of the file that remembers what was sent; created if there is none.
        again: what to do with rows that the ledger knows.
        mapping: which column is which field; by default columns are named like fields, and all others are
            custom fields.
        confirm: read leads back through v1 when they were sent.
        workers: calls in flight at once.
        budget: how much may fail before the run stops.
        results_dir: folder for the result files, summary and report; with a ledger it is
            ``LEDGER.results`` by default.
        progress: called about once in every `interval`, and at the start and end of each phase. It must not
            block; if it raises, it is not called again.
        calls: the hook of the client in use, to report what the rate limit costs.
        interval: seconds.
        stop: asks the run to end; see `Stop`.

    Returns:
        The account. Failures of rows are in it, and so is whatever stopped the run early: rejected
        credentials, a spent error budget, a full disk, an interruption.

    Raises:
        SourceError: the source cannot be read to its end; nothing was sent.
        MappingError: the mapping does not fit the source; nothing was sent.
        LedgerError: the ledger cannot be opened; nothing was sent.
    """
    if workers < 1:
        raise ConfigurationError("workers must be at least 1")
    path = None if ledger is None else Path(ledger)
    folder = results_dir or (None if path is None else path.with_suffix(".results"))
    target = as_sink(sink)
    run = _Run(
        source=source,
        sink=target,
        prepare=Preparer(target.prepare, mapping),
        again=again or Again(),
        confirm=confirm,
        folder=None if folder is None else Path(folder),
        course=Course(progress, calls),
        stop=stop or Stop(),
    )
    ticker: asyncio.Task[None] | None = None
    book = Ledger(path, destination=target.destination)
    await book.open(TABLES, reset=run.again.reset)
    try:
        ticker = asyncio.create_task(_tick(run.course, interval))
        engine = Engine(
            target,
            run.prepare,
            book.database,
            workers=workers,
            budget=budget or ErrorBudget(),
            course=run.course,
            stop=run.stop,
        )
        return await run.carry_out(book, engine)
    finally:
        if ticker is not None:
            ticker.cancel()
        await asyncio.shield(book.aclose())


@frozen(kw_only=True)
class _Run:
    source: Iterable[Item] | AsyncIterable[Item]
    sink: Sink[Any]
    prepare: Preparer
    again: Again
    confirm: Confirm | None
    folder: Path | None
    course: Course
    stop: Stop
    started_at: dt.datetime = field(factory=lambda: dt.datetime.now(dt.UTC))

    async def carry_out(self, book: Ledger, engine: Engine) -> Report:
        spool = Spool(book.database)
        source = self.source
        file = source if isinstance(source, FileSource) else None
        name = type(source).__name__ if file is None else file.name
        changed = await book.note_source(name, None if file is None else file.fingerprint())
        self.course.enter(Phase.READING, None)
        rows = await engine.read(source)
        self.course.complete()
        if engine.stopped is None:
            await spool.plan(
                full=self.again.full,
                retry_rejected=self.again.retry_rejected,
                repeatable=self.sink.repeatable,
            )
            counts = await spool.counts()
            pending = counts.pop(State.PENDING)
            self.course.enter(Phase.SENDING, pending, counts)
            await self._send(engine, rejected=counts[State.REJECTED], rows=rows)
        confirmation = None
        if self.confirm is not None and engine.stopped is None:
            confirmation = await self._read_back(self.confirm, book, spool)
            self.course.tick()
        counts = await spool.counts()
        self.course.enter(Phase.FINISHED, rows, counts)
        report = await self._report(spool, counts)
        report = evolve(
            report, source=name, source_changed=changed, stopped=engine.stopped, confirmation=confirmation
        )
        return await self._written(report, spool)

    async def _written(self, report: Report, spool: Spool) -> Report:
        """The report, once the files are written: if they cannot be, it says so."""
        if self.folder is None:
            return report
        try:
            await write_results(self.folder, spool, self.source)
            write_summary(self.folder, report)
        except OSError as error:
            complaint = f"the result files cannot be written: {error.strerror}"
            return evolve(report, stopped=report.stopped or complaint, results_dir=None)
        return report

    async def _send(self, engine: Engine, *, rejected: int, rows: int) -> None:
        engine.check_reading(rejected, rows)
        if engine.stopped is not None:
            return
        try:
            await engine.send()
        except LedgerError as error:
            engine.stopped = f"LedgerError: {error.message}"
        self.course.tick()

    async def _read_back(self, confirm: Confirm, book: Ledger, spool: Spool) -> Confirmation:
        counts = await spool.counts()
        self.course.enter(Phase.CONFIRMING, counts[State.OK] + counts[State.ACCEPTED], counts)
        reading = asyncio.create_task(read_back(confirm, book.database, self.prepare, self.course))
        asked = asyncio.create_task(self.stop.wait(1))
        try:
            await asyncio.wait([reading, asked], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            await cancelled(reading, asked)
        return await confirmation_of(book.database, stopped="interrupted")

    async def _report(self, spool: Spool, counts: dict[State, int]) -> Report:
        rejected = await spool.first(State.REJECTED, limit=_SHOWN)
        duplicates, superseded = await spool.superseded(limit=_SHOWN)
        return Report(
            sink=self.sink.name,
            rows=sum(counts.values()),
            ok=counts[State.OK],
            accepted=counts[State.ACCEPTED],
            rejected=counts[State.REJECTED],
            skipped=counts[State.SKIPPED],
            unknown=counts[State.UNKNOWN],
            pending=counts[State.PENDING],
            duplicates=duplicates,
            errors=await spool.kinds(),
            rejections=tuple(
                Rejection(line=each.row.line, reason=each.reason or "", code=each.code) for each in rejected
            ),
            superseded=tuple(
                Duplicate(line=each.row.line, superseded_by=int((each.reason or "").removeprefix(SUPERSEDED)))
                for each in superseded
            ),
            results_dir=self.folder,
            started_at=self.started_at,
            seconds=self.course.elapsed,
            rate_limit=self.course.rate_limit,
            course=tuple(self.course.stretches),
        )


async def _tick(course: Course, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        course.tick()
