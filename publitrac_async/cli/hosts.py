"""`SharedRedis` and docket for a command.

Both are imported on demand, because they load slowly and may not be installed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors import VENDORS
from publitrac_async.cli.vendors.base import OwnOptions, Vendor
from publitrac_async.client import read_environment
from publitrac_async.config import Rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.environment import missing_variable, read_variable
from publitrac_async.transport.secret import Secret

if TYPE_CHECKING:
    from types import ModuleType

    from publitrac_async.shared import SharedRedis

#: Default name of a state store in Redis; see `RedisStateStore`.
STATE: Final = "default"
_NONE: Final[OwnOptions] = {}


def load_docket() -> ModuleType:
    """Import the executor for several hosts.

    Raises:
        CommandError: its extra is not installed.
    """
    try:
        from publitrac_async.bulk.distributed import docket  # noqa: PLC0415

        return docket
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("publitrac_async"):
            raise
    raise CommandError("runs on several hosts need an extra: pip install 'publitrac_async[docket]'")


def needed_redis(
    via: str, *, redis: str | None, own: OwnOptions = _NONE, rate: Rate | None = None
) -> SharedRedis:
    """Return the `SharedRedis` of the account; see `shared_redis`.

    Raises:
        CommandError: no Redis URL, or the extra is not installed.
        ConfigurationError: the environment lacks the credential of the account.
    """
    shared = shared_redis(via, redis=redis, own=own, rate=rate)
    if shared is None:
        raise CommandError("no Redis URL: set PUBLITRAC_REDIS_URL, or pass --redis")
    return shared


def shared_redis(
    via: str, *, redis: str | None, own: OwnOptions = _NONE, rate: Rate | None = None
) -> SharedRedis | None:
    """Return the `SharedRedis` of the account, ``None`` without a Redis URL.

    Args:
        via: name of the vendor.
        redis: URL; by default that of the environment.
        own: options of the vendor.
        rate: rate of calls; by default that of the environment, or else of the vendor.

    Raises:
        CommandError: the extra is not installed.
        ConfigurationError: the environment lacks the credential of the account.
    """
    url: str | Secret | None = redis or read_environment(os.environ, "redis_url")
    if url is None:
        return None
    try:
        from publitrac_async.shared import SharedRedis  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(str(error)) from None
    vendor = VENDORS[via]
    return SharedRedis(
        url,
        _account(vendor, own),
        rate_limit=rate or vendor.configured_rate() or vendor.rate,
        in_flight=vendor.in_flight,
    )


def _account(vendor: Vendor, own: OwnOptions) -> Secret:
    """Return the credential that all processes of the account use."""
    for name in (*vendor.account_variables(own), vendor.account):
        found = read_variable(None, name)
        if isinstance(found, ConfigurationError):
            raise found
        if found is not None:
            return found
    raise missing_variable(vendor.account)
