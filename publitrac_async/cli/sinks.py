"""Where the rows of `sync` and `worker` go: the options that say it, and the sink with its open client."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import field, frozen

from publitrac_async.bulk import Confirm, DelayedSync, Sink, SyncLead
from publitrac_async.cli import hosts, marketo, vitec
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.client import PublitracClient, read_environment
from publitrac_async.config import (
    BULK_RETRY,
    BULK_TIMEOUT,
    CALLS_PER_SECOND,
    CONCURRENCY,
    MARKETO_CALLS,
    MARKETO_CONCURRENCY,
    MARKETO_PERIOD,
    VITEC_CALLS_PER_SECOND,
    VITEC_CONCURRENCY,
    Rate,
)
from publitrac_async.transport.events import Hook

if TYPE_CHECKING:
    from publitrac_async.redis import RedisLedger

#: More workers than calls at once would only put more rows in doubt when a run is killed.
WORKERS: Final = {
    "v1": CONCURRENCY,
    "v2": CONCURRENCY,
    "vitec": VITEC_CONCURRENCY,
    "marketo": MARKETO_CONCURRENCY,
}
RATES: Final = {
    "v1": CALLS_PER_SECOND,
    "v2": CALLS_PER_SECOND,
    "vitec": VITEC_CALLS_PER_SECOND,
    "marketo": MARKETO_CALLS,
}


@frozen(kw_only=True)
class SinkOptions:
    """The options that say where rows go, as the helps describe them."""

    via: Literal["v1", "v2", "vitec", "marketo"]
    rate: int
    customer: str | None
    lead_source: str | None
    redis: str | None = field(repr=False)
    sandbox: bool = False
    confirm: bool = False
    confirm_rate: float = 0.0
    confirm_wait: float = 0.0

    def shared_ledger(self, name: str) -> RedisLedger:
        """The ledger of that name, which hosts share.

        Raises:
            CommandError: nobody says where Redis is, or the extra is not installed.
            ConfigurationError: the environment lacks the account's credential.
        """
        return hosts.shared_ledger(name, via=self.via, customer=self.customer, redis=self.redis)


def with_rate(options: dict[str, Any]) -> dict[str, Any]:
    """Options as they were given, with the rate that is usual for the service if none was."""
    return options if options["rate"] is not None else options | {"rate": RATES[options["via"]]}


async def open_sink(
    stack: AsyncExitStack, options: SinkOptions, hooks: Sequence[Hook]
) -> tuple[Sink[Any], Confirm | None]:
    """The sink, with a client that `stack` closes, and how leads are read back, if they are.

    Raises:
        CommandError: an option is missing, or one makes no sense here.
        ConfigurationError: the environment lacks credentials.
    """
    settings = {
        "rate_limit": Rate(options.rate, per=MARKETO_PERIOD) if options.via == "marketo" else options.rate,
        "retry": BULK_RETRY,
        "hooks": hooks,
        **hosts.shared_state(options),
    }
    if options.via == "vitec":
        return await vitec.open_sink(stack, options, settings), None
    if options.via == "marketo":
        return await marketo.open_sink(stack, options, settings), None
    client, destination = await _open_client(stack, options, settings)
    confirm = None
    if options.sandbox:
        confirm = Confirm(v1=client.v1, calls_per_second=options.rate, patience=options.confirm_wait)
    elif options.confirm:
        rate = options.confirm_rate
        confirm = Confirm(v1=client.v1, calls_per_second=rate, patience=options.confirm_wait)
    if options.via == "v2":
        return DelayedSync(client.v2, destination=destination), confirm
    return SyncLead(client.v1, destination=destination), confirm


async def _open_client(
    stack: AsyncExitStack, options: SinkOptions, settings: dict[str, Any]
) -> tuple[PublitracClient, str]:
    settings["timeout"] = BULK_TIMEOUT
    if options.sandbox:
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox(rate_limit=options.rate))
        client = PublitracClient(
            api_key=sandbox.api_key,
            username=sandbox.username,
            password=sandbox.password,
            base_url=sandbox.base_url,
            **settings,
        )
        destination = "of the sandbox"
    else:
        if (options.via == "v1" or options.confirm) and read_environment(os.environ, "username") is None:
            raise CommandError("v1 needs PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD in the environment")
        client = PublitracClient.from_env(**settings)
        destination = f"of {client!r}"
    return await stack.enter_async_context(client), destination
