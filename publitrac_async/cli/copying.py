"""`copy-to-marketo`: leads of PUBLITRAC to the lead database of Marketo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from attrs import frozen

from publitrac_async.bulk import (
    Again,
    CallMeter,
    ErrorBudget,
    MarketoLeads,
    NamedSource,
    Stop,
    load_marketo_fields,
    sync_leads,
)
from publitrac_async.cli.display import display_for
from publitrac_async.cli.exits import Exit
from publitrac_async.cli.export import select_leads
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.summary import write_report
from publitrac_async.cli.sync import check_ledger_options, exit_status
from publitrac_async.client import PublitracClient
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT, MARKETO_CONCURRENCY
from publitrac_async.marketo import STANDARD_FIELDS, MarketoClient

_SOURCE: Final = "PUBLITRAC"


@frozen(kw_only=True)
class CopyOptions:
    """The options of `copy-to-marketo`, as its help describes them."""

    where: Sequence[tuple[str, str, str]]
    view: str | None
    list_name: str | None
    mapping: Path | None
    ledger: Path | None
    full: bool
    retry_rejected: bool
    reset: bool
    results: Path | None
    max_errors: float
    as_json: bool


async def run_copy(options: CopyOptions) -> int:
    """Carry out `copy-to-marketo`.

    Returns:
        The exit status.

    Raises:
        CommandError: options exclude each other.
        BulkError: the mapping or the ledger cannot be used; nothing was sent.
        ConfigurationError: the environment lacks credentials.
        PublitracError: a page could not be read from PUBLITRAC; nothing was sent.
    """
    check_ledger_options(options.ledger, options.full, options.retry_rejected, options.reset)
    fields = STANDARD_FIELDS if options.mapping is None else load_marketo_fields(options.mapping)
    # A call to Marketo has hundreds of leads: its rate is none of leads.
    meter, stop = CallMeter(None), Stop()
    async with AsyncExitStack() as stack:
        publitrac = await stack.enter_async_context(
            PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT)
        )
        leads = select_leads(
            publitrac.v1, where=options.where, view=options.view, list_name=options.list_name
        )
        marketo = await stack.enter_async_context(MarketoClient.from_env(retry=BULK_RETRY, hooks=[meter]))
        await stack.enter_async_context(signals_go_to(stop))
        with display_for(as_json=options.as_json) as display:
            report = await sync_leads(
                NamedSource(_SOURCE, lambda: leads),
                MarketoLeads(marketo, fields=fields, destination=f"of {marketo!r}"),
                ledger=options.ledger,
                again=Again(full=options.full, retry_rejected=options.retry_rejected, reset=options.reset),
                workers=MARKETO_CONCURRENCY,
                budget=ErrorBudget(share=options.max_errors / 100),
                results_dir=options.results,
                progress=display,
                calls=meter,
                stop=stop,
            )
    ledger = None if options.ledger is None else str(options.ledger)
    write_report(report, as_json=options.as_json, sandbox=False, ledger=ledger)
    return Exit.INTERRUPTED if stop.requested else exit_status(report, sandbox=False)
