"""`sync --via marketo`: the sink."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from publitrac_async.bulk import MarketoLeads
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.marketo import MarketoClient

if TYPE_CHECKING:
    from publitrac_async.cli.sinks import SinkOptions


async def open_sink(stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]) -> MarketoLeads:
    """The sink, with a client that `stack` closes.

    Raises:
        CommandError: an option makes no sense here.
        ConfigurationError: the environment has no credentials.
    """
    if options.confirm:
        raise CommandError("--confirm reads leads back from PUBLITRAC: with --via marketo it cannot be used")
    # Every operation keeps the time that Marketo gives it.
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox())
        settings["base_url"] = sandbox.base_url
        settings["client_id"] = sandbox.settings.marketo_client_id
        settings["client_secret"] = sandbox.settings.marketo_client_secret
    client = await stack.enter_async_context(MarketoClient.from_env(**settings))
    return MarketoLeads(client, destination="of the sandbox" if options.sandbox else f"of {client!r}")
