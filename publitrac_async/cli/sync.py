"""`sync`: a file of leads to PUBLITRAC, or to the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

from attrs import frozen

from publitrac_async.bulk import (
    Again,
    CallMeter,
    ColumnMapping,
    Confirm,
    DelayedSync,
    ErrorBudget,
    Report,
    Sink,
    Stop,
    SyncLead,
    read_leads,
    sync_leads,
)
from publitrac_async.cli import marketo, vitec
from publitrac_async.cli.display import display_for
from publitrac_async.cli.exits import CommandError, Exit
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.cli.summary import write_report
from publitrac_async.client import PublitracClient, read_environment
from publitrac_async.config import (
    BULK_RETRY,
    BULK_TIMEOUT,
    CONCURRENCY,
    MARKETO_CONCURRENCY,
    VITEC_CONCURRENCY,
)

_WORKERS: Final = {"vitec": VITEC_CONCURRENCY, "marketo": MARKETO_CONCURRENCY}


@frozen(kw_only=True)
class SyncOptions:
    """The options of `sync`, as its help describes them."""

    source: Path
    via: Literal["v1", "v2", "vitec", "marketo"]
    sandbox: bool
    ledger: Path | None
    full: bool
    retry_rejected: bool
    reset: bool
    mapping: Path | None
    encoding: str
    delimiter: str | None
    sheet: str | None
    results: Path | None
    confirm: bool
    confirm_rate: float
    confirm_wait: float
    rate: int
    max_errors: float
    as_json: bool
    customer: str | None = None
    lead_source: str | None = None

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
    check_ledger_options(options.ledger, options.full, options.retry_rejected, options.reset)
    # A call to Marketo has hundreds of rows: its rate is none of rows.
    meter, stop = CallMeter(None if options.via == "marketo" else options.rate), Stop()
    async with AsyncExitStack() as stack:
        sink, confirm = await _open_sink(stack, options, meter)
        await stack.enter_async_context(signals_go_to(stop))
        with display_for(as_json=options.as_json) as display:
            report = await sync_leads(
                options.open_source(),
                sink,
                ledger=options.ledger,
                again=Again(full=options.full, retry_rejected=options.retry_rejected, reset=options.reset),
                mapping=options.load_mapping(),
                confirm=confirm,
                # More workers than calls at once would only put more rows in doubt when a run is killed.
                workers=_WORKERS.get(options.via, CONCURRENCY),
                budget=ErrorBudget(share=options.max_errors / 100),
                results_dir=options.results,
                progress=display,
                calls=meter,
                stop=stop,
            )
    write_report(report, as_json=options.as_json, sandbox=options.sandbox, ledger=options.ledger)
    return Exit.INTERRUPTED if stop.requested else exit_status(report, sandbox=options.sandbox)


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


async def _open_sink(
    stack: AsyncExitStack, options: SyncOptions, meter: CallMeter
) -> tuple[Sink[Any], Confirm | None]:
    if options.via == "vitec":
        return await vitec.open_sink(stack, options, meter), None
    if options.via == "marketo":
        return await marketo.open_sink(stack, options, meter), None
    client, destination = await _open_client(stack, options, meter)
    confirm = None
    if options.sandbox:
        confirm = Confirm(v1=client.v1, calls_per_second=options.rate, patience=options.confirm_wait)
    elif options.confirm:
        rate = options.confirm_rate
        confirm = Confirm(v1=client.v1, calls_per_second=rate, patience=options.confirm_wait)
    if options.via == "v2":
        return DelayedSync(client.v2, destination=destination), confirm
    return SyncLead(client.v1, destination=destination), confirm


async def _open_client(
    stack: AsyncExitStack, options: SyncOptions, meter: CallMeter
) -> tuple[PublitracClient, str]:
    settings: dict[str, Any] = {
        "rate_limit": options.rate,
        "retry": BULK_RETRY,
        "timeout": BULK_TIMEOUT,
        "hooks": [meter],
    }
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox(rate_limit=options.rate))
        client = PublitracClient(
            api_key=sandbox.api_key,
            username=sandbox.username,
            password=sandbox.password,
            base_url=sandbox.base_url,
            **settings,
        )
        destination = "of the sandbox"
    else:
        if (options.via == "v1" or options.confirm) and read_environment(os.environ, "username") is None:
            raise CommandError("v1 needs PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD in the environment")
        client = PublitracClient.from_env(**settings)
        destination = f"of {client!r}"
    return await stack.enter_async_context(client), destination


@asynccontextmanager
async def signals_go_to(stop: Stop) -> AsyncIterator[None]:
    """While this is open, Ctrl-C and a polite kill ask the run to end."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    previous: dict[signal.Signals, Any] = {}
    for name in names:
        try:
            loop.add_signal_handler(name, stop.request)
        except NotImplementedError:  # Windows
            previous[name] = signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.request))
    try:
        yield
    finally:
        for name in names:
            if name in previous:
                signal.signal(name, previous[name])
            else:
                loop.remove_signal_handler(name)
