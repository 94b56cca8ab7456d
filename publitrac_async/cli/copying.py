"""`copy-to-marketo`: leads of PUBLITRAC to the lead database of Marketo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from attrs import frozen

from publitrac_async.bulk import (
    CallMeter,
    ErrorBudget,
    ExitStatus,
    MarketoSink,
    Monitor,
    NamedSource,
    Resend,
    Shutdown,
    load_marketo_fields,
    sync_leads,
)
from publitrac_async.cli.display import display_for
from publitrac_async.cli.export import select_leads
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.summary import write_report
from publitrac_async.cli.sync import check_state_options, exit_status
from publitrac_async.client import PublitracClient
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT, MARKETO_CONCURRENCY
from publitrac_async.marketo import STANDARD_FIELDS, MarketoClient

_SOURCE: Final = "PUBLITRAC"


@frozen(kw_only=True)
class CopyOptions:
    """Options of `copy-to-marketo`; its help describes them."""

    where: Sequence[tuple[str, str, str]]
    view: str | None
    list_name: str | None
    mapping: Path | None
    state: Path | None
    resend_unchanged: bool
    resend_rejected: bool
    reset: bool
    results: Path | None
    max_errors: float
    as_json: bool


async def run_copy(options: CopyOptions) -> int:
    """Run `copy-to-marketo`.

    Returns:
        The exit status.

    Raises:
        CommandError: options contradict each other.
        BulkError: the mapping or the state store is unusable; no lead was sent.
        ConfigurationError: the environment lacks credentials.
        PublitracError: a page could not be read from PUBLITRAC; no lead was sent.
    """
    check_state_options(options.state, options.resend_unchanged, options.resend_rejected, options.reset)
    fields = STANDARD_FIELDS if options.mapping is None else load_marketo_fields(options.mapping)
    # A call to Marketo has hundreds of leads: its rate says nothing about leads.
    meter, shutdown = CallMeter(None), Shutdown()
    async with AsyncExitStack() as stack:
        publitrac = await stack.enter_async_context(
            PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT)
        )
        leads = select_leads(
            publitrac.v1, where=options.where, view=options.view, list_name=options.list_name
        )
        marketo = await stack.enter_async_context(MarketoClient.from_env(retry=BULK_RETRY, hooks=[meter]))
        await stack.enter_async_context(signals_go_to(shutdown))
        with display_for(as_json=options.as_json) as display:
            report = await sync_leads(
                NamedSource(_SOURCE, lambda: leads),
                MarketoSink(marketo, fields=fields, destination=f"of {marketo!r}"),
                state=options.state,
                reset=options.reset,
                resend=Resend(unchanged=options.resend_unchanged, rejected=options.resend_rejected),
                concurrency=MARKETO_CONCURRENCY,
                error_budget=ErrorBudget(share=options.max_errors / 100),
                results_dir=options.results,
                monitor=Monitor(display, call_meter=meter),
                shutdown=shutdown,
            )
    state = None if options.state is None else str(options.state)
    write_report(report, as_json=options.as_json, sandbox=False, state_store=state)
    return ExitStatus.INTERRUPTED if shutdown.requested else exit_status(report, sandbox=False)
