"""`share`: share rate limit and token through a file or Redis, chosen by URL."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Final, Protocol, Self

from publitrac_async.config import PUBLITRAC_RATE, Rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.auth import TokenStore
from publitrac_async.transport.limits import RateLimiter, limiter_for
from publitrac_async.transport.secret import Secret, all_sealed, seal

_FILE: Final = "file:"
_REDIS: Final = ("redis://", "rediss://", "unix://", "redis+", "rediss+")


class Shared(Protocol):
    """Rate limit and token that several processes share."""

    @property
    def limiter(self) -> RateLimiter:
        """Rate limiter of the account."""
        ...

    @property
    def tokens(self) -> TokenStore:
        """Token store of the account."""
        ...

    async def aclose(self) -> None:
        """Close the file or the connections. Close the clients first."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


def share(
    location: str | Secret,
    *,
    account: str | Secret,
    rate_limit: Rate | int | None = PUBLITRAC_RATE,
    in_flight: int | None = None,
) -> Shared:
    """Share rate limit and token with all processes that use the same location and account.

    ::

        async with share("file:", account=key) as shared:
            async with PublitracClient(api_key=key, shared=shared) as publitrac:
                ...

    Args:
        location: for one host ``file:`` with the path of a file or folder, ``file:/run/leads/publitrac``, or
            ``file:`` alone for a file in the folder for temporary files. For several hosts the URL of a
            Redis, see `SharedRedis`.
        account: owner of limit and token, preferably the API key. File and Redis contain only a hash of it.
        rate_limit: calls of all processes together; a number means calls per second, ``None`` no limit.
        in_flight: calls in flight at once, of all processes together; ``None`` for no limit. Marketo allows
            10.

    Raises:
        ConfigurationError: the location cannot be used.
    """
    sealed = seal(account, "account"), seal(location, "shared")
    # Error trackers record the local names of frames, and a URL may have a password.
    del account, location
    owner, sealed_location = all_sealed(*sealed)
    if sealed_location.reveal().startswith(_FILE):
        from publitrac_async.shared.file import SharedFile  # noqa: PLC0415  (only needed to share)

        return SharedFile(_path(sealed_location), account=owner, rate_limit=rate_limit, in_flight=in_flight)
    if sealed_location.reveal().startswith(_REDIS):
        from publitrac_async.shared.redis.backend import SharedRedis  # noqa: PLC0415  (an extra)

        return SharedRedis(sealed_location, owner, rate_limit=rate_limit, in_flight=in_flight)
    raise ConfigurationError("shared must be file:, file:/PATH, or the URL of a Redis")


def limiter_and_tokens(
    shared: Shared | None,
    *,
    limiter: RateLimiter | None,
    token_store: TokenStore | None = None,
    rate_limit: Rate | int | None,
    default: Rate,
) -> tuple[RateLimiter, TokenStore | None]:
    """Return rate limiter and token store of a client, from the options of its constructor.

    Args:
        shared: see the client.
        limiter: see the client.
        token_store: see the client.
        rate_limit: see the client.
        default: default of `rate_limit`. The same object means that none was given.

    Raises:
        ConfigurationError: an option is unusable, or contradicts another.
    """
    if limiter is not None and not isinstance(limiter, RateLimiter):
        raise ConfigurationError("limiter must have acquire() and pause(), as shared.limiter has")
    if token_store is not None and not hasattr(token_store, "discard"):
        raise ConfigurationError("token_store must be a TokenStore, such as shared.tokens")
    if shared is None:
        if limiter is None:
            return limiter_for(rate_limit), token_store
        if rate_limit is not default:
            raise ConfigurationError("limiter already has a rate: leave out limiter or rate_limit")
        return limiter, token_store
    if not (hasattr(shared, "tokens") and hasattr(shared, "limiter")):
        raise ConfigurationError("shared must be a SharedRedis or SharedFile, or the result of share(...)")
    for name, value in (("limiter", limiter), ("token_store", token_store)):
        if value is not None:
            raise ConfigurationError(f"shared already has a {name}: leave out shared or {name}")
    if rate_limit is not default:
        raise ConfigurationError("the shared object has its own rate_limit: set it there, not here")
    return shared.limiter, shared.tokens


def _path(location: Secret) -> Path | None:
    """Return the path of a file URL, ``None`` for the default."""
    try:
        parts = urllib.parse.urlsplit(location.reveal())
    except ValueError:
        parts = None
    if (
        parts is None
        or parts.netloc not in ("", "localhost")
        or parts.query
        or parts.fragment
        or "%00" in parts.path
    ):
        raise ConfigurationError("the URL of a shared file must be file:/PATH, without host and options")
    return Path(urllib.parse.unquote(parts.path)) if parts.path else None
