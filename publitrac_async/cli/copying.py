"""`copy-to-marketo`: copy leads from PUBLITRAC to the lead database of Marketo."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from publitrac_async.bulk import (
    CallMeter,
    ErrorBudget,
    ExitStatus,
    MarketoRecords,
    MarketoSink,
    Monitor,
    NamedSource,
    Resend,
    Shutdown,
    load_marketo_mapping,
    sync_leads,
)
from publitrac_async.cli import hosts
from publitrac_async.cli.clients import open_publitrac, settings_of_any
from publitrac_async.cli.display import display_for
from publitrac_async.cli.exits import CommandError, exit_status
from publitrac_async.cli.export import select_leads
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.summary import write_report
from publitrac_async.cli.sync import check_state_options
from publitrac_async.cli.vendors import sharing
from publitrac_async.cli.vendors.base import OwnOptions, Vendor
from publitrac_async.cli.vendors.marketo import MARKETO, sink_settings
from publitrac_async.cli.vendors.publitrac import PUBLITRAC_V1
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT, Rate
from publitrac_async.marketo import STANDARD_FIELDS, MarketoClient

_SOURCE: Final = "PUBLITRAC"


@frozen(kw_only=True)
class CopyOptions:
    """Options of `copy-to-marketo`; its help describes them."""

    via: str
    own: OwnOptions
    where: Sequence[tuple[str, str, str]]
    view: str | None
    list_name: str | None
    mapping: Path | None
    redis: str | None = field(repr=False)
    rate: Rate
    state: Path | None
    resend_unchanged: bool
    resend_rejected: bool
    reset: bool
    results: Path | None
    max_errors: float
    quiet: bool
    log_file: Path | None
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
    settings = sink_settings(options.own)
    lookup_field = options.own.get("lookup_field", "email")
    if options.mapping is not None:
        settings |= load_marketo_mapping(options.mapping, lookup_field=lookup_field)
    elif lookup_field not in STANDARD_FIELDS.values():
        raise CommandError(f"--lookup-field {lookup_field} needs a --mapping that maps a field to it")
    MarketoRecords(**settings)  # Settings that contradict each other are refused before anything is read.
    # Without a rate limit in the report: a call to Marketo has hundreds of leads, so its unit differs.
    meter, shutdown = CallMeter(None), Shutdown()
    async with AsyncExitStack() as stack:
        source = await _shared(stack, PUBLITRAC_V1, options.redis)
        publitrac = await stack.enter_async_context(
            open_publitrac(retry=BULK_RETRY, timeout=BULK_TIMEOUT, **source)
        )
        leads = select_leads(
            publitrac.v1, where=options.where, view=options.view, list_name=options.list_name
        )
        target: dict[str, Any] = settings_of_any() | {"rate_limit": options.rate}
        target |= await _shared(stack, MARKETO, options.redis, options.rate)
        marketo = await stack.enter_async_context(
            MarketoClient.from_env(retry=BULK_RETRY, hooks=[meter], **target)
        )
        await stack.enter_async_context(signals_go_to(shutdown))
        sink = MarketoSink(marketo, destination=f"of {marketo!r}", **settings)
        with display_for(as_json=options.as_json, quiet=options.quiet) as display:
            report = await sync_leads(
                NamedSource(_SOURCE, lambda: leads),
                sink,
                state=options.state,
                reset=options.reset,
                resend=Resend(unchanged=options.resend_unchanged, rejected=options.resend_rejected),
                error_budget=ErrorBudget(share=options.max_errors / 100),
                results_dir=options.results,
                monitor=Monitor(display, call_meter=meter),
                shutdown=shutdown,
            )
    state = None if options.state is None else str(options.state)
    status = ExitStatus.INTERRUPTED if shutdown.requested else exit_status(report, sandbox=False)
    always = status is not ExitStatus.OK
    write_report(
        report,
        as_json=options.as_json,
        sandbox=False,
        state_store=state,
        idempotent=sink.idempotent,
        always=always,
    )
    return status


async def _shared(
    stack: AsyncExitStack, vendor: Vendor, redis: str | None, rate: Rate | None = None
) -> dict[str, Any]:
    """Return the settings of a client that shares its account through Redis; empty without a Redis URL."""
    shared = hosts.shared_redis(vendor.name, redis=redis, rate=rate)
    if shared is None:
        return {}
    await stack.enter_async_context(shared)
    return sharing(shared, vendor)
