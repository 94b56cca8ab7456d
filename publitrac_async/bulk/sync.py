"""`sync_leads`: one call for a whole run."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from publitrac_async.bulk.confirm import Confirm, Confirmation, confirmation_of, read_back
from publitrac_async.bulk.database import Database
from publitrac_async.bulk.engines.local import LocalEngine
from publitrac_async.bulk.engines.work import Engine, Work
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.file_ledger import FileLedger
from publitrac_async.bulk.ledger import Ledger
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import Again, plan
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import CallMeter, Course, Listener, Phase
from publitrac_async.bulk.reading import read
from publitrac_async.bulk.report import Duplicate, Rejection, Report
from publitrac_async.bulk.results import write_results, write_summary
from publitrac_async.bulk.rows import Item, State
from publitrac_async.bulk.sinks import LeadSink, Sink, as_sink, digest
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.reference import NamedSource
from publitrac_async.bulk.spool import SUPERSEDED, TABLES, Spool
from publitrac_async.bulk.stopping import Stop, cancelled
from publitrac_async.config import CONCURRENCY
from publitrac_async.errors import ConfigurationError
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2

_SHOWN = 100


async def sync_leads(
    source: Iterable[Item] | AsyncIterable[Item],
    sink: Sink[Any] | V1 | V2,
    *,
    ledger: str | Path | Ledger | None = None,
    again: Again | None = None,
    mapping: ColumnMapping | None = None,
    confirm: Confirm | None = None,
    workers: int = CONCURRENCY,
    engine: Engine | None = None,
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
        ledger: remembers what was sent: path of a file, created if there is none, or a ledger that several
            hosts share.
        again: what to do with rows that the ledger knows.
        mapping: which column is which field; by default columns are named like fields, and all others are
            custom fields.
        confirm: read leads back through v1 when they were sent.
        workers: calls in flight at once, of this process.
        engine: sends the rows from elsewhere instead.
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
        ConfigurationError: a setting cannot be used.
        SourceError: the source cannot be read to its end; nothing was sent.
        MappingError: the mapping does not fit the source; nothing was sent.
        LedgerError: the ledger cannot be opened, or fails before the first call; nothing was sent.
    """
    path = Path(ledger) if isinstance(ledger, str | Path) else None
    folder = results_dir or (None if path is None else path.with_suffix(".results"))
    target = as_sink(sink)
    if confirm is not None and not isinstance(target, LeadSink):
        raise ConfigurationError("only leads that go to PUBLITRAC can be confirmed")
    file = source if isinstance(source, FileSource) else None
    fingerprint = None if file is None else file.fingerprint()
    book: Ledger
    if ledger is None or path is not None:
        book = in_file = FileLedger(path, TABLES)
        database = in_file.database
    else:
        assert not isinstance(ledger, str | Path)
        book, database = ledger, Database(None)
    run = _Run(
        name=source.name if isinstance(source, FileSource | NamedSource) else type(source).__name__,
        fingerprint=fingerprint,
        engine=engine or LocalEngine(workers),
        work=Work(
            source=source,
            sink=target,
            prepare=Preparer(target.prepare, mapping),
            spool=Spool(database),
            ledger=book,
            budget=budget or ErrorBudget(),
            course=Course(progress, calls),
            stop=stop or Stop(),
        ),
        again=again or Again(),
        confirm=confirm,
        folder=None if folder is None else Path(folder),
    )
    run.engine.check(run.work)
    async with AsyncExitStack() as stack:
        await book.open(target.destination, run=run.meaning(), reset=run.again.reset)
        stack.push_async_callback(_closed, book)
        if book is ledger:
            stack.push_async_callback(_closed, database)
            await database.open(TABLES)
        ticker = asyncio.create_task(_tick(run.work.course, interval))
        stack.callback(ticker.cancel)
        return await run.carry_out()


async def _closed(what: Ledger | Database) -> None:
    await asyncio.shield(what.aclose())


@frozen(kw_only=True)
class _Run:
    name: str
    fingerprint: str | None
    engine: Engine
    work: Work
    again: Again
    confirm: Confirm | None
    folder: Path | None
    started_at: dt.datetime = field(factory=lambda: dt.datetime.now(dt.UTC))

    def meaning(self) -> str:
        """Stands for what this run is about to do, if a run that does the same can join it."""
        if self.engine.chunk_rows is None:
            return ""
        mapping = self.work.prepare.mapping
        parts = (
            self.name,
            self.fingerprint,
            self.work.sink.destination,
            self.again,
            mapping,
            self.engine.chunk_rows,
        )
        return digest([repr(part) for part in parts]).hex()

    async def carry_out(self) -> Report:
        """Read, plan, send, read back, report."""
        work = self.work
        changed = await work.ledger.note_source(self.name, self.fingerprint)
        work.course.enter(Phase.READING, None)
        rows = await read(work.source, work.spool, work.prepare, work.course, work.stop)
        work.course.complete()
        stopped = "interrupted" if work.stop.requested else None
        if stopped is None:
            await plan(work.spool, work.ledger, self.again, repeatable=work.sink.repeatable)
            counts = await work.spool.counts()
            pending = counts.pop(State.PENDING)
            work.course.enter(Phase.SENDING, pending, counts)
            stopped = work.budget.refuses(counts[State.REJECTED], rows) or await self._send()
            work.course.tick()
        confirmation = None
        if self.confirm is not None and stopped is None:
            confirmation = await self._read_back(self.confirm)
            work.course.tick()
        counts = await work.spool.counts()
        work.course.enter(Phase.FINISHED, rows, counts)
        report = await self._report(counts)
        report = evolve(report, source_changed=changed, stopped=stopped, confirmation=confirmation)
        return await self._written(report)

    async def _send(self) -> str | None:
        try:
            return await self.engine.send(self.work)
        except LedgerError as error:
            return f"LedgerError: {error.message}"

    async def _read_back(self, confirm: Confirm) -> Confirmation:
        work = self.work
        counts = await work.spool.counts()
        work.course.enter(Phase.CONFIRMING, counts[State.OK] + counts[State.ACCEPTED], counts)
        reading = asyncio.create_task(read_back(confirm, work.spool, work.prepare, work.course))
        asked = asyncio.create_task(work.stop.wait(1))
        try:
            await asyncio.wait([reading, asked], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            await cancelled(reading, asked)
        return await confirmation_of(work.spool, stopped="interrupted")

    async def _written(self, report: Report) -> Report:
        """The report, once the files are written: if they cannot be, it says so."""
        if self.folder is None:
            return report
        try:
            await write_results(self.folder, self.work.spool, self.work.source)
            write_summary(self.folder, report)
        except OSError as error:
            complaint = f"the result files cannot be written: {error.strerror}"
            return evolve(report, stopped=report.stopped or complaint, results_dir=None)
        return report

    async def _report(self, counts: dict[State, int]) -> Report:
        spool, course = self.work.spool, self.work.course
        rejected = await spool.first(State.REJECTED, limit=_SHOWN)
        duplicates, superseded = await spool.superseded(limit=_SHOWN)
        return Report(
            source=self.name,
            sink=self.work.sink.name,
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
            seconds=course.elapsed,
            rate_limit=course.rate_limit,
            course=tuple(course.stretches),
        )


async def _tick(course: Course, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        course.tick()
