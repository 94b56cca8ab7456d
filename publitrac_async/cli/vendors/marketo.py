"""`--via marketo`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final

from publitrac_async.bulk import MarketoSink, marketo_record
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.cli.vendors.base import OpenSink, SinkOptions, Vendor
from publitrac_async.config import MARKETO_CALLS, MARKETO_CONCURRENCY, MARKETO_PERIOD
from publitrac_async.marketo import MarketoClient


async def _open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> OpenSink:
    # Every operation keeps the timeout that Marketo documents for it.
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox())
        settings["base_url"] = sandbox.base_url
        settings["client_id"] = sandbox.settings.marketo_client_id
        settings["client_secret"] = sandbox.settings.marketo_client_secret
    client = await stack.enter_async_context(MarketoClient.from_env(**settings))
    return MarketoSink(client, destination="of the sandbox" if options.sandbox else f"of {client!r}"), None


MARKETO: Final = Vendor(
    name="marketo",
    service="Marketo",
    rate=MARKETO_CALLS,
    period=MARKETO_PERIOD,
    concurrency=MARKETO_CONCURRENCY,
    account="MARKETO_CLIENT_SECRET",
    open_sink=_open_sink,
    to_record=lambda _: marketo_record,
    fields_of=dict,
    batches=True,
)
