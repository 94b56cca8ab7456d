"""State that the processes of an account share: in a file on one host, in Redis for several hosts.

Each backend has a rate limiter and a token store. A `SharedRedis` also serves the state stores of bulk runs.

::

    async with SharedRedis("redis://localhost", account=key) as shared:
        async with PublitracClient(api_key=key, shared=shared) as publitrac:
            ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.shared.share import Shared, share

if TYPE_CHECKING:
    from publitrac_async.shared.file.backend import SharedFile
    from publitrac_async.shared.redis.backend import SharedRedis

__all__ = ["Shared", "SharedFile", "SharedRedis", "share"]

#: Imported on demand: a process needs at most one backend.
_LAZY: Final = {"SharedFile": "file.backend", "SharedRedis": "redis.backend"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
