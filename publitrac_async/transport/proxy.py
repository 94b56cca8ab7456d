"""Proxies from the environment."""

from __future__ import annotations

import base64
import urllib.parse
import urllib.request
from typing import Final

from attrs import field, frozen

from publitrac_async.errors import ConfigurationError


@frozen
class Proxy:
    """Proxy settings for one host.

    Attributes:
        url: address of the proxy without credentials; ``None`` to connect directly.
        headers: header fields for the proxy alone, with its credentials.
    """

    url: str | None = None
    headers: dict[str, str] | None = field(default=None, repr=False)


NO_PROXY: Final = Proxy()


def proxy_from_environment(scheme: str, host: str) -> Proxy:
    """Return the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name for a host.

    Args:
        scheme: scheme of the requested URL.
        host: host of that URL, with the port if it has one: ``NO_PROXY`` may name both.

    Raises:
        ConfigurationError: a variable does not have the address of an HTTP proxy.
    """
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    names = {host, urllib.parse.urlsplit(f"//{host}").hostname or host}  # NO_PROXY lists "::1" without [].
    if not address or any(map(urllib.request.proxy_bypass, names)):
        return NO_PROXY
    proxy = _parse(address if "://" in address else f"http://{address}")
    if proxy is None:  # Raised here: the message of the inner error may quote the password.
        raise ConfigurationError(
            f"the proxy for {scheme} in the environment must be http://host:port or https://host:port"
        )
    return proxy


def _parse(address: str) -> Proxy | None:
    try:
        parts = urllib.parse.urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    if not usable:
        return None
    headers = None
    if parts.username or parts.password:
        # The password goes into a header for the proxy, not into the URL that errors quote.
        pair = f"{urllib.parse.unquote(parts.username or '')}:{urllib.parse.unquote(parts.password or '')}"
        headers = {"proxy-authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    bare = (parts.scheme, parts.netloc.rpartition("@")[2], "/", "", "")
    return Proxy(urllib.parse.urlunsplit(bare), headers)
