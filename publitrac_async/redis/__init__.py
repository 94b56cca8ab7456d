"""One limit, one token and one ledger for many processes, in Redis or Valkey (extra ``redis``)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

try:
    from publitrac_async.redis.limiter import RedisRateLimiter
    from publitrac_async.redis.state import SharedState, shared
    from publitrac_async.redis.tokens import RedisTokenStore
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "sharing a limit needs an extra: pip install 'publitrac_async[redis]'", name=_error.name
    ) from _error

if TYPE_CHECKING:
    from publitrac_async.redis.chunks import Chunk
    from publitrac_async.redis.ledger import EndedChunk, RedisLedger

__all__ = [
    "Chunk",
    "EndedChunk",
    "RedisLedger",
    "RedisRateLimiter",
    "RedisTokenStore",
    "SharedState",
    "shared",
]

#: Loaded when it is asked for: who shares a limit only needs nothing of `publitrac_async.bulk`.
_LATER = {"Chunk": "chunks", "EndedChunk": "ledger", "RedisLedger": "ledger"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
