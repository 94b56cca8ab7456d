"""`shared`: what a client takes to share its limit and its token with other processes."""

from __future__ import annotations

from typing import Literal, TypedDict

from publitrac_async.config import CALLS_PER_SECOND
from publitrac_async.errors import ConfigurationError
from publitrac_async.redis.connection import connect
from publitrac_async.redis.limiter import GUARD, RedisRateLimiter
from publitrac_async.redis.tokens import RedisTokenStore
from publitrac_async.transport.limits import WindowLimiter
from publitrac_async.transport.secret import Secret


class SharedState(TypedDict):
    """Arguments of a client.

    Attributes:
        limiter: asked before every request.
        token_store: where the v2 token is kept.
    """

    limiter: RedisRateLimiter
    token_store: RedisTokenStore


def shared(
    url: str,
    *,
    account: str | Secret,
    rate_limit: int = CALLS_PER_SECOND,
    per: float = 1.0,
    guard: float = GUARD,
    on_unavailable: Literal["raise", "local"] = "raise",
    processes: int | None = None,
) -> SharedState:
    """A limit and a token for all processes that name the same Redis and the same account.

    ::

        async with PublitracClient(api_key=key, **shared("redis://localhost", account=key)) as publitrac:
            ...

    The client closes the connections to Redis when it is closed.

    Args:
        url: of Redis 6.2 or newer, or of Valkey: ``redis://``, ``rediss://`` or ``unix://``. Options of
            redis-py may follow: ``?socket_timeout=2`` (seconds; 1 by default).
        account: what the limit and the token belong to. The API key is best, because it cannot be mixed
            up: two accounts under one name would use each other's token. Redis gets to see a hash only.
        rate_limit: calls that all processes may make together ...
        per: ... in so many seconds.
        guard: seconds added to `per`: by so much the way from Redis may be longer for one process than for
            another. The default suits hosts in one place; each 0.01 costs 1 % of the limit.
        on_unavailable: without Redis, calls fail with `LimiterUnavailable` (``"raise"``), or every process
            goes on by itself with its part of `rate_limit` (``"local"``).
        processes: how many processes share the limit, at most; needed for ``"local"``.

    Raises:
        ConfigurationError: a setting is unusable.
    """
    connection = connect(url, account)
    # Tracebacks may be recorded with the locals of their frames.
    del url, account
    if isinstance(connection, ConfigurationError):
        raise connection
    if rate_limit < 1 or per <= 0 or guard < 0:
        raise ConfigurationError(f"a rate of {rate_limit} calls in {per} s with a guard of {guard} s is none")
    if on_unavailable not in ("raise", "local"):
        raise ConfigurationError('on_unavailable must be "raise" or "local"')
    local = None
    if on_unavailable == "local":
        if processes is None or processes < 1:
            raise ConfigurationError('on_unavailable="local" needs to know how many processes there are')
        local = _share(rate_limit, per, processes)
    return SharedState(
        limiter=RedisRateLimiter(connection, rate_limit, per, guard=guard, local=local),
        token_store=RedisTokenStore(connection),
    )


def _share(calls: int, per: float, processes: int) -> WindowLimiter:
    """One process's part of the limit, in whole calls."""
    if calls >= processes:
        return WindowLimiter(calls // processes, per)
    return WindowLimiter(1, per * processes / calls)
