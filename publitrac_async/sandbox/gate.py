"""Gate that protects a listening sandbox from web pages of other hosts.

A browser on this machine can connect to loopback addresses. Without the gate a page could read and change the
sandbox, by requests across origins or by a host name that resolves to 127.0.0.1 (DNS rebinding). The emulated
APIs accept any `Host`, because they require credentials and clients may use an alias.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import urlsplit

from publitrac_async.sandbox.settings.server import is_loopback
from publitrac_async.sandbox.wire import Send

App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[MutableMapping[str, Any]]], Send], Awaitable[None]
]

PREFIX = "/_sandbox/"
"""The paths of the control side."""
PAGES = frozenset({"/", PREFIX})
"""Paths that a link on a foreign page may open."""


def is_control(path: str) -> bool:
    """Return True for the control side's paths, and for the root, which redirects to its page."""
    return path == "/" or path.startswith(PREFIX)


class Gate:
    """ASGI application that passes requests of this host to another one, and refuses the rest."""

    def __init__(self, app: App, allowed_hosts: AbstractSet[str]) -> None:
        """Create the gate.

        Args:
            app: the application behind the gate.
            allowed_hosts: host names to accept besides loopback ones.
        """
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Send,
    ) -> None:
        """Handle one ASGI connection."""
        reason = self._refusal(scope) if scope["type"] == "http" else None
        if reason is None:
            await self._app(scope, receive, send)
            return
        body = f"{reason}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: MutableMapping[str, Any]) -> str | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host")
        if host is not None and is_control(scope["path"]) and not self._accepts(f"//{host}"):
            return (
                "The control side does not accept the name in Host: "
                "use a loopback name, or add the host to allowed_hosts."
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._accepts(origin):
            return "The sandbox refuses requests from web pages of another host."
        if headers.get(b"sec-fetch-site") == "cross-site" and not (
            scope["path"] in PAGES and headers.get(b"sec-fetch-mode") == "navigate"
        ):
            return "The sandbox refuses requests from web pages of another host."
        return None

    def _accepts(self, url: str) -> bool:
        try:
            host = urlsplit(url).hostname
        except ValueError:
            return False
        return host is not None and (is_loopback(host) or host in self._allowed)
