"""Settings of the server: addresses and storage."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import TypedDict

from attrs import field, frozen
from attrs.validators import ge, gt

from publitrac_async.sandbox.settings.checks import names


@frozen(kw_only=True, slots=False)
class ServerSettings:
    """Settings that all emulated vendors share.

    Attributes:
        host: the address to listen on. An address that other machines can reach requires `allowed_hosts`,
            because the sandbox has no protection.
        port: the TCP port; 0 for a free one.
        allowed_hosts: host names of the sandbox, besides `localhost` and loopback addresses. With HTTP 403,
            the control side refuses requests for another `Host`, and every path refuses requests from web
            pages of another host.
        database: the SQLite file that keeps the records across restarts, or `:memory:`.
        max_request_bytes: the largest request body; more is refused with HTTP 413. Undocumented.
        latency: seconds before every response, over a connection and in-process alike.
        journal_contents: arrivals of which the journal keeps content and response; of older ones it keeps
            only the facts.
    """

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=ge(0))
    allowed_hosts: frozenset[str] = field(default=frozenset(), converter=names)
    database: str = field(default=":memory:", converter=str)
    max_request_bytes: int = field(default=8 * 1024 * 1024, validator=gt(0))
    latency: float = field(default=0.0, validator=ge(0))
    journal_contents: int = field(default=10_000, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        """Refuse an address that other machines can reach, unless `allowed_hosts` is given."""
        if not self.allowed_hosts and not is_loopback(self.host):
            raise ValueError(
                "the sandbox has no protection and only listens on a loopback address; "
                "to listen on another one, set allowed_hosts to its host names"
            )


def is_loopback(host: str) -> bool:
    """Return True for `localhost`, names below it, and loopback addresses."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class ServerOptions(TypedDict, total=False):
    """The fields of `ServerSettings`, all optional."""

    host: str
    port: int
    allowed_hosts: Iterable[str]
    database: str
    max_request_bytes: int
    latency: float
    journal_contents: int
