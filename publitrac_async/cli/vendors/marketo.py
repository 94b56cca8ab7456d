"""`--via marketo`."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any, Final, get_args

from publitrac_async.bulk import MarketoRecords, MarketoSink
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.cli.vendors.base import OpenSink, SinkOptions, Vendor
from publitrac_async.config import MARKETO_CONCURRENCY, MARKETO_RATE
from publitrac_async.marketo import Action, MarketoClient

#: Values of ``--action``.
ACTIONS: Final[tuple[str, ...]] = get_args(Action)


def sink_settings(action: str | None, lookup_field: str | None, partition: str | None) -> dict[str, Any]:
    """Return the settings of a sink that the options of a command choose."""
    chosen = {"action": action, "lookup_field": lookup_field, "partition_name": partition}
    return {name: value for name, value in chosen.items() if value is not None}


async def _open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> OpenSink:
    records = _settings(options)
    MarketoRecords(**records)  # Settings that contradict each other are refused before anything is opened.
    # Every operation keeps the timeout that Marketo documents for it.
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox())
        settings["base_url"] = sandbox.base_url
        settings["client_id"] = sandbox.settings.marketo_client_id
        settings["client_secret"] = sandbox.settings.marketo_client_secret
    client = await stack.enter_async_context(MarketoClient.from_env(**settings))
    destination = "of the sandbox" if options.sandbox else f"of {client!r}"
    return MarketoSink(client, destination=destination, **records), None


def _settings(options: SinkOptions) -> dict[str, Any]:
    return sink_settings(options.action, options.lookup_field, options.partition)


MARKETO: Final = Vendor(
    name="marketo",
    service="Marketo",
    rate=MARKETO_RATE.calls,
    period=MARKETO_RATE.per,
    concurrency=MARKETO_CONCURRENCY,
    account="MARKETO_CLIENT_SECRET",
    open_sink=_open_sink,
    to_record=lambda options: MarketoRecords(**_settings(options)),
    fields_of=json.loads,
    batches=True,
)
