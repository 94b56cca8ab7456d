"""`doctor --online`: test the credentials."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from publitrac_async.cli.clients import open_publitrac
from publitrac_async.config import RetryPolicy, Timeout
from publitrac_async.errors import AuthenticationError, ConfigurationError, PermissionDenied, PublitracError
from publitrac_async.transport.environment import read_variable

#: Timeouts of each of the two calls, shorter than those for a shared limiter that does not respond.
_TIMEOUT: Final = Timeout(queue=10, total=15)
_ADVICE: Final[Mapping[str, str]] = {
    "v1": "check PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD",
    "v2": "check PUBLITRAC_API_KEY",
}


async def try_service(environment: Mapping[str, str]) -> dict[str, str]:
    """Make one call of v1, which only reads, and one token request of v2.

    Args:
        environment: credentials and settings.

    Returns:
        A line for each API; it begins with "works", "not tried" or "fails".
    """
    try:
        client = open_publitrac(
            environment,
            retry=RetryPolicy(attempts=1),
            timeout=_TIMEOUT,
            log_failures=False,
        )
    except ConfigurationError as error:
        return dict.fromkeys(_ADVICE, f"not tried: {error.message}")
    async with client:
        if read_variable(environment, "PUBLITRAC_USERNAME") is None:
            v1 = "not tried: v1 needs PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD"
        else:
            v1 = await _try("v1", "getCampaigns", client.v1.get_campaigns)
        return {"v1": v1, "v2": await _try("v2", "getToken", client.v2.get_token)}


async def _try(api: str, operation: str, call: Callable[[], Awaitable[object]]) -> str:
    started = time.monotonic()
    try:
        await call()
    except PublitracError as error:
        return _failure(api, error)
    return f"works: {operation} took {time.monotonic() - started:.2f} s"


def _failure(api: str, error: PublitracError) -> str:
    parts = [f"fails: {type(error).__name__}: {error}"]
    if error.vendor_message is not None:
        parts.append(f'the service says: "{error.vendor_message}"')
    if isinstance(error, (AuthenticationError, PermissionDenied)):
        parts.append(_ADVICE[api])
    return "; ".join(parts)
