"""Proxies from the environment."""

from __future__ import annotations

import base64
import urllib.parse
import urllib.request
from typing import Final

from attrs import field, frozen


@frozen
class Proxy:
    """A proxy, or none.

    Attributes:
        url: its address without credentials; ``None`` to connect directly.
        headers: header fields for the proxy alone, with its credentials.
    """

    url: str | None = None
    headers: dict[str, str] | None = field(default=None, repr=False)


NO_PROXY: Final = Proxy()


def proxy_from_environment(scheme: str, host: str) -> Proxy:
    """The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name for a host."""
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return NO_PROXY
    parts = urllib.parse.urlsplit(address if "://" in address else f"http://{address}")
    headers = None
    if parts.username or parts.password:
        # The password goes into a header for the proxy, not into the URL that errors quote.
        pair = f"{urllib.parse.unquote(parts.username or '')}:{urllib.parse.unquote(parts.password or '')}"
        headers = {"proxy-authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    bare = (parts.scheme, parts.netloc.rpartition("@")[2], "/", "", "")
    return Proxy(urllib.parse.urlunsplit(bare), headers)
