"""`--via marketo`."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any, Final, get_args

from publitrac_async.bulk import MarketoRecords, MarketoSink
from publitrac_async.cli.vendors.base import OpenSink, OwnOptions, Service, SinkOptions, Vendor, VendorOption
from publitrac_async.config import MARKETO_CONCURRENCY, MARKETO_RATE
from publitrac_async.marketo import Action, MarketoClient


def sink_settings(own: OwnOptions) -> dict[str, Any]:
    """Return the settings of a sink that the options of a command choose."""
    return {"partition_name" if name == "partition" else name: value for name, value in own.items()}


async def _open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> OpenSink:
    records = sink_settings(options.own)
    MarketoRecords(**records)  # Settings that contradict each other are refused before anything is opened.
    # Every operation keeps the timeout that Marketo documents for it.
    client = await stack.enter_async_context(MarketoClient.from_env(**settings))
    destination = "of the sandbox" if options.sandbox else f"of {client!r}"
    return MarketoSink(client, destination=destination, **records), None


def _sandbox_settings(sandbox: Any) -> dict[str, Any]:
    return {
        "base_url": sandbox.base_url,
        "client_id": sandbox.settings.marketo_client_id,
        "client_secret": sandbox.settings.marketo_client_secret,
    }


MARKETO: Final = Vendor(
    name="marketo",
    service=Service(
        name="Marketo",
        prefix="MARKETO",
        secrets=("client_id", "client_secret"),
        base_url=None,
        credentials="For marketo they are MARKETO_BASE_URL or MARKETO_MUNCHKIN_ID, MARKETO_CLIENT_ID and "
        "MARKETO_CLIENT_SECRET; its columns have the REST names of Marketo's fields.",
    ),
    help="sends them to the lead database of Marketo Engage",
    rate=MARKETO_RATE,
    concurrency=MARKETO_CONCURRENCY,
    in_flight=MARKETO_CONCURRENCY,
    account="MARKETO_CLIENT_SECRET",
    open_sink=_open_sink,
    to_record=lambda options: MarketoRecords(**sink_settings(options.own)),
    fields_of=json.loads,
    options=(
        VendorOption(
            name="action",
            help="treatment of existing and new leads; by default createOrUpdate.",
            choices=get_args(Action),
        ),
        VendorOption(
            name="lookup_field",
            help="REST name of the field that identifies a lead, such as id with updateOnly; by default "
            "email.",
            metavar="FIELD",
        ),
        VendorOption(name="partition", help="partition in which leads are created and looked up."),
    ),
    sandbox_settings=_sandbox_settings,
    batches=True,
)
