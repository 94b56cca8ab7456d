"""`--via v1` and `--via v2`."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import evolve

from publitrac_async.bulk import PublitracV1Sink, PublitracV2Sink, Verify, publitrac_record
from publitrac_async.cli.clients import configured_rate, open_publitrac
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors.base import OpenSink, Service, SinkOptions, Vendor
from publitrac_async.client import PublitracClient, read_environment
from publitrac_async.config import BASE_URL, BULK_TIMEOUT, CONCURRENCY, PUBLITRAC_RATE
from publitrac_async.converters import lead_to_wire
from publitrac_async.models import Lead


async def _open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> OpenSink:
    client, destination = await _open_client(stack, options, settings)
    verify = None
    if options.sandbox or options.verify:
        rate = options.rate if options.sandbox else options.verify_rate
        verify = Verify(v1=client.v1, rate_limit=rate, timeout=options.verify_timeout)
    if options.via == PUBLITRAC_V2.name:
        return PublitracV2Sink(client.v2, destination=destination), verify
    return PublitracV1Sink(client.v1, destination=destination), verify


async def _open_client(
    stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]
) -> tuple[PublitracClient, str]:
    settings["timeout"] = BULK_TIMEOUT
    if options.sandbox:
        client = PublitracClient(**settings)
        destination = "of the sandbox"
    else:
        needs_v1 = options.via == PUBLITRAC_V1.name or options.verify
        if needs_v1 and read_environment(os.environ, "username") is None:
            raise CommandError("v1 needs PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD in the environment")
        client = open_publitrac(**settings)
        destination = f"of {client!r}"
    return await stack.enter_async_context(client), destination


def _sandbox_settings(sandbox: Any) -> dict[str, Any]:
    return {
        "api_key": sandbox.api_key,
        "username": sandbox.username,
        "password": sandbox.password,
        "base_url": sandbox.base_url,
    }


def _fields_of(lead: Lead) -> dict[str, Any]:
    native, custom = lead_to_wire(lead, "sync")
    return native | custom


_PUBLITRAC: Final = Service(
    name="PUBLITRAC",
    prefix="PUBLITRAC",
    secrets=("api_key", "username", "password"),
    base_url=BASE_URL,
    credentials="PUBLITRAC_API_KEY, and for v1 PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD; each also as "
    "..._FILE with the path of a file. PUBLITRAC_BASE_URL selects another environment.",
)
PUBLITRAC_V2: Final = Vendor(
    name="v2",
    service=_PUBLITRAC,
    help="queues leads",
    rate=PUBLITRAC_RATE,
    configured_rate=configured_rate,
    concurrency=CONCURRENCY,
    account="PUBLITRAC_API_KEY",
    open_sink=_open_sink,
    to_record=lambda _: publitrac_record,
    fields_of=_fields_of,
    sandbox_settings=_sandbox_settings,
    verifies=True,
)
PUBLITRAC_V1: Final = evolve(PUBLITRAC_V2, name="v1", help="processes them before it responds")
