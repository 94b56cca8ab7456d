"""`sync`: a file of leads to PUBLITRAC, or to the sandbox."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from publitrac_async.bulk import (
    Again,
    CallMeter,
    ColumnMapping,
    ErrorBudget,
    Report,
    Stop,
    read_leads,
    sync_leads,
)
from publitrac_async.cli import hosts
from publitrac_async.cli.display import display_for
from publitrac_async.cli.exits import CommandError, Exit
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.sinks import WORKERS, SinkOptions, open_sink
from publitrac_async.cli.summary import write_report


@frozen(kw_only=True)
class SyncOptions(SinkOptions):
    """The options of `sync`, as its help describes them."""

    source: Path
    engine: Literal["local", "docket"]
    ledger: Path | None
    full: bool
    retry_rejected: bool
    reset: bool
    mapping: Path | None
    encoding: str
    delimiter: str | None
    sheet: str | None
    results: Path | None
    max_errors: float
    as_json: bool

    def open_source(self) -> Any:
        """The input file."""
        return read_leads(self.source, encoding=self.encoding, delimiter=self.delimiter, sheet=self.sheet)

    def load_mapping(self) -> ColumnMapping | None:
        """The mapping file, if one was named."""
        return None if self.mapping is None else ColumnMapping.load(self.mapping)


async def run_sync(options: SyncOptions) -> int:
    """Carry out `sync`.

    Returns:
        The exit status.
    """
    far = options.engine == "docket"
    if far and options.sandbox:
        raise CommandError(
            "workers cannot reach a sandbox inside this command: run `publitrac-async sandbox`"
        )
    if not far:
        check_ledger_options(options.ledger, options.full, options.retry_rejected, options.reset)
    # A call to Marketo has hundreds of rows: its rate is none of rows.
    meter, stop = CallMeter(None if options.via == "marketo" else options.rate), Stop()
    async with AsyncExitStack() as stack:
        sink, confirm = await open_sink(stack, options, [meter])
        engine = hosts.load_docket().DocketEngine(hosts.needed_redis_url(options.redis)) if far else None
        await stack.enter_async_context(signals_go_to(stop))
        with display_for(as_json=options.as_json) as display:
            report = await sync_leads(
                options.open_source(),
                sink,
                ledger=options.shared_ledger(str(options.ledger or hosts.LEDGER)) if far else options.ledger,
                again=Again(full=options.full, retry_rejected=options.retry_rejected, reset=options.reset),
                mapping=options.load_mapping(),
                confirm=confirm,
                workers=WORKERS[options.via],
                engine=engine,
                budget=ErrorBudget(share=options.max_errors / 100),
                results_dir=options.results,
                progress=display,
                calls=meter,
                stop=stop,
            )
    write_report(report, as_json=options.as_json, sandbox=options.sandbox, ledger=_ledger(options))
    return Exit.INTERRUPTED if stop.requested else exit_status(report, sandbox=options.sandbox)


def _ledger(options: SyncOptions) -> str | None:
    """What `settle` would have to be told, ``None`` without a ledger."""
    if options.engine == "local":
        return None if options.ledger is None else str(options.ledger)
    customer = "" if options.customer is None else f" --customer {options.customer}"
    return f"{options.ledger or hosts.LEDGER} --via {options.via}{customer}"


def check_ledger_options(ledger: Path | None, *about_ledger: bool) -> None:
    """Check that there is a ledger for the options that are about one.

    Raises:
        CommandError: one of them was given without.
    """
    if ledger is None and any(about_ledger):
        raise CommandError("--full, --retry-rejected and --reset are about what a --ledger knows: name it")


def exit_status(report: Report, *, sandbox: bool) -> int:
    """The exit status for a report.

    Rows that the sandbox's demonstration rejects are its subject, not a failure: nobody's leads are lost.
    """
    found = report.confirmation
    if found is not None and (found.differs or found.missing or found.stopped):
        return Exit.ABORTED
    if sandbox and report.exit_code == Exit.REJECTED and not report.unknown:
        return Exit.FINE
    return report.exit_code
