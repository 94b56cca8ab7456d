"""`--via vitec`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from publitrac_async.bulk import Record, VitecSink, vitec_record
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors.base import OpenSink, OwnOptions, Service, SinkOptions, Vendor, VendorOption
from publitrac_async.config import BULK_TIMEOUT, VITEC_BASE_URL, VITEC_CONCURRENCY, VITEC_RATE
from publitrac_async.vitec import LeadSource, PersonLead, VitecClient, to_json


async def _open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> OpenSink:
    lead_source = _lead_source(options)
    settings["timeout"] = BULK_TIMEOUT
    customer = options.own.get("customer")
    if customer is None and options.sandbox:
        customer = next(iter(settings["password"]))
    if customer is None:
        raise CommandError("--via vitec needs --customer: the customer of the leads, such as M30011")
    client = await stack.enter_async_context(VitecClient.from_env(**settings))
    destination = "of the sandbox" if options.sandbox else f"of {client!r}"
    return VitecSink(client, customer, lead_source=lead_source, destination=destination), None


def _sandbox_settings(sandbox: Any) -> dict[str, Any]:
    passwords = sandbox.settings.vitec_passwords
    return {
        "base_url": sandbox.base_url,
        "username": sandbox.settings.vitec_username,
        "password": {customer: groups["PublicAdvertising"] for customer, groups in passwords.items()},
    }


def _to_record(options: SinkOptions) -> Callable[[Any], Record[PersonLead]]:
    return partial(vitec_record, lead_source=_lead_source(options))


def _fields_of(lead: PersonLead) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(to_json(lead))
    return document


def _lead_source(options: SinkOptions) -> LeadSource:
    name = options.own.get("lead_source") or ("Demonstration" if options.sandbox else None)
    if name is None:
        raise CommandError("--via vitec needs --lead-source: use the same name in every run")
    return LeadSource(name=name)


def _account_variables(own: OwnOptions) -> Sequence[str]:
    return (f"VITEC_PASSWORD_{own['customer']}",) if "customer" in own else ()


VITEC: Final = Vendor(
    name="vitec",
    service=Service(
        name="Vitec",
        prefix="VITEC",
        secrets=("username", "password"),
        base_url=VITEC_BASE_URL,
        credentials="For vitec they are VITEC_USERNAME and VITEC_PASSWORD; VITEC_BASE_URL can select the "
        "test host.",
    ),
    help="sends them to an estate agent",
    rate=VITEC_RATE,
    concurrency=VITEC_CONCURRENCY,
    account="VITEC_PASSWORD",
    open_sink=_open_sink,
    to_record=_to_record,
    fields_of=_fields_of,
    options=(
        VendorOption(
            name="customer", help="customer who receives the leads, such as M30011.", of_account=True
        ),
        VendorOption(name="lead_source", help="source of the leads; Vitec creates it if the name is new."),
    ),
    sandbox_settings=_sandbox_settings,
    account_variables=_account_variables,
    appends=True,
)
