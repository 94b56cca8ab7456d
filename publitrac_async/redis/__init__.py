"""One limit, one token and one ledger for many processes, in Redis or Valkey (extra ``redis``)."""

from __future__ import annotations

try:
    from publitrac_async.redis.chunks import Chunk
    from publitrac_async.redis.ledger import EndedChunk, RedisLedger
    from publitrac_async.redis.limiter import RedisRateLimiter
    from publitrac_async.redis.state import SharedState, shared
    from publitrac_async.redis.tokens import RedisTokenStore
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "sharing a limit needs an extra: pip install 'publitrac_async[redis]'", name=_error.name
    ) from _error

__all__ = [
    "Chunk",
    "EndedChunk",
    "RedisLedger",
    "RedisRateLimiter",
    "RedisTokenStore",
    "SharedState",
    "shared",
]
