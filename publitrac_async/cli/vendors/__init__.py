"""The table of vendors for commands. A vendor has a module here and an entry in `VENDORS`.

Its client and its sink in `bulk/sinks` come first: `CONTRIBUTING.md` has all steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.cli.clients import settings_of_any
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.sandbox_server import load_sandbox
from publitrac_async.cli.vendors.base import OpenSink, Service, SinkOptions, Vendor
from publitrac_async.cli.vendors.marketo import MARKETO
from publitrac_async.cli.vendors.publitrac import PUBLITRAC_V1, PUBLITRAC_V2
from publitrac_async.cli.vendors.vitec import VITEC
from publitrac_async.config import BULK_RETRY, Rate
from publitrac_async.transport.events import Hook

if TYPE_CHECKING:
    from publitrac_async.shared import SharedRedis

#: The vendors by name, the default first. Options, help texts, `doctor` and reports are made from this table.
VENDORS: Final[Mapping[str, Vendor]] = {
    vendor.name: vendor for vendor in (PUBLITRAC_V2, PUBLITRAC_V1, VITEC, MARKETO)
}
#: Their services, each once.
SERVICES: Final[Sequence[Service]] = list(dict.fromkeys(vendor.service for vendor in VENDORS.values()))


def for_vendor(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the vendor's own options as ``own``, and the vendor's rate if none was given.

    Raises:
        CommandError: an option belongs to another vendor, or a rate lacks its seconds.
    """
    options, own = dict(options), {}
    for vendor in VENDORS.values():
        for option in vendor.options:
            value = options.pop(option.name, None)
            if value is not None and vendor.name != options["via"]:
                raise CommandError(f"{option.flag} needs --via {vendor.name}")
            if value is not None:
                own[option.name] = value
    if "rate" in options:
        vendor = VENDORS[options["via"]]
        given = _with_seconds(vendor, options["rate"])
        # The sandbox stands for an account with the limit of the documents.
        configured = None if given or options.get("sandbox") else vendor.configured_rate()
        options["rate"] = given or configured or vendor.rate
    return options | {"own": own}


def _with_seconds(vendor: Vendor, given: Rate | None) -> Rate | None:
    if given is not None and vendor.rate.per != 1 and given.per == 1:
        # Without them it would be a multiple of what the vendor allows.
        raise CommandError(
            f"--rate {given.calls} is per second, and {vendor.service.name} counts in {vendor.rate.per:g} "
            f"seconds: write --rate {given.calls}/{vendor.rate.per:g}, or the calls in other seconds"
        )
    return given


def sharing(shared: SharedRedis, vendor: Vendor) -> dict[str, Any]:
    """Return the settings of a client that shares the account of a vendor."""
    # The rate is that of `shared`, also if the environment or a profile has another one.
    return {"shared": shared, "rate_limit": vendor.rate}


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
        raise CommandError(f"--verify reads leads back from PUBLITRAC: leave it out with --via {vendor.name}")
    # Failures are not logged: the report lists every row that failed.
    settings: dict[str, Any] = {
        "rate_limit": options.rate,
        "retry": BULK_RETRY,
        "hooks": hooks,
        "log_failures": False,
        **settings_of_any(),
    }
    if options.sandbox:
        if vendor.sandbox_settings is None:
            raise CommandError(f"the sandbox does not emulate {vendor.service.name}: leave out --sandbox")
        limit = math.ceil(options.rate.per_second)
        sandbox = await stack.enter_async_context(load_sandbox().Sandbox(rate_limit=limit))
        settings |= vendor.sandbox_settings(sandbox)
    if shared is not None:
        settings |= sharing(shared, vendor)
    return await vendor.open_sink(stack, options, settings)
