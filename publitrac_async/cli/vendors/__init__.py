"""The vendors of `sync` and `worker`. A new vendor is one more entry of `VENDORS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.cli.clients import settings_of_any
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors.base import OpenSink, SinkOptions, Vendor
from publitrac_async.cli.vendors.marketo import MARKETO
from publitrac_async.cli.vendors.publitrac import V1, V2
from publitrac_async.cli.vendors.vitec import VITEC
from publitrac_async.config import BULK_RETRY, Rate
from publitrac_async.transport.events import Hook

if TYPE_CHECKING:
    from publitrac_async.shared import SharedRedis

#: The vendors by name, the default first.
VENDORS: Final[Mapping[str, Vendor]] = {vendor.name: vendor for vendor in (V2, V1, VITEC, MARKETO)}
_OF_MARKETO: Final = ("action", "lookup_field", "partition")


def for_vendor(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the default rate of their vendor if none was given.

    Raises:
        CommandError: an option belongs to another vendor.
    """
    given = [name for name in _OF_MARKETO if options.get(name) is not None]
    if given and options["via"] != MARKETO.name:
        raise CommandError(f"--{given[0].replace('_', '-')} needs --via {MARKETO.name}")
    return options if options["rate"] is not None else options | {"rate": VENDORS[options["via"]].rate}


async def open_sink(
    stack: AsyncExitStack, options: SinkOptions, hooks: Sequence[Hook], shared: SharedRedis | None
) -> OpenSink:
    """Open a client on `stack`; return its sink, and settings for reading leads back.

    Raises:
        CommandError: an option is missing, or contradicts another.
        ConfigurationError: the environment lacks credentials.
    """
    vendor = VENDORS[options.via]
    if options.verify and not vendor.verifies:
        raise CommandError(f"--verify reads leads back from PUBLITRAC: it excludes --via {vendor.name}")
    rate = Rate(options.rate, per=vendor.period)
    # The report has every row that failed.
    settings: dict[str, Any] = {
        "rate_limit": rate,
        "retry": BULK_RETRY,
        "hooks": hooks,
        "log_failures": False,
        **settings_of_any(),
    }
    if shared is not None:
        settings["limiter"] = shared.limiter
        if vendor.shares_token:
            settings["token_store"] = shared.tokens
    return await vendor.open_sink(stack, options, settings)
