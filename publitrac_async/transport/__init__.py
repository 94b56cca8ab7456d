"""Send calls: deadline, gate, rate limit, credentials, request, response, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from publitrac_async.transport.aiohttp_transport import AiohttpTransport

__all__ = ["AiohttpTransport"]


def __getattr__(name: str) -> Any:
    # Imported on demand: aiohttp and httpx take longer to load than all the rest.
    if name == "AiohttpTransport":
        from publitrac_async.transport import aiohttp_transport  # noqa: PLC0415

        return aiohttp_transport.AiohttpTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
