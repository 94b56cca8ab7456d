"""`sync --via vitec`: the sink, and what its leads look like."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from publitrac_async.bulk import Prepared, VitecLeads, prepare_person_lead
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.config import BULK_TIMEOUT
from publitrac_async.vitec import LeadSource, PersonLead, VitecClient, to_json

if TYPE_CHECKING:
    from publitrac_async.cli.sinks import SinkOptions


async def open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> VitecLeads:
    """The sink, with a client that `stack` closes.

    Raises:
        CommandError: an option is missing, or one makes no sense here.
        ConfigurationError: the environment has no credentials.
    """
    lead_source = _lead_source(options)
    if options.confirm:
        raise CommandError("--confirm reads leads back from PUBLITRAC: with --via vitec it cannot be used")
    settings["timeout"] = BULK_TIMEOUT
    customer = options.customer
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox())
        passwords = sandbox.settings.vitec_passwords
        customer = customer or next(iter(passwords))
        settings["username"] = sandbox.settings.vitec_username
        settings["password"] = {name: groups["PublicAdvertising"] for name, groups in passwords.items()}
        settings["base_url"] = sandbox.base_url
    if customer is None:
        raise CommandError("--via vitec needs --customer: who gets the leads, such as M30011")
    client = await stack.enter_async_context(VitecClient.from_env(**settings))
    destination = "of the sandbox" if options.sandbox else f"of {client!r}"
    return VitecLeads(client, customer, lead_source=lead_source, destination=destination)


def prepare(options: SinkOptions, fields: Any) -> Prepared[PersonLead]:
    """Make a row into a lead as the sink would.

    Raises:
        ValidationError: it cannot be accepted.
    """
    return prepare_person_lead(fields, lead_source=_lead_source(options))


def fields_of(lead: PersonLead) -> dict[str, Any]:
    """A lead as it would be sent."""
    document: dict[str, Any] = json.loads(to_json(lead))
    return document


def _lead_source(options: SinkOptions) -> LeadSource:
    name = options.lead_source or ("Demonstration" if options.sandbox else None)
    if name is None:
        raise CommandError("--via vitec needs --lead-source: a name that stays the same from run to run")
    return LeadSource(name=name)
