"""Build the client of redis-py for a URL: one server, or the master that Sentinels report.

Only this file and `publitrac_async.shared.redis.connection` import redis-py.
"""

from __future__ import annotations

import math
import urllib.parse
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection

from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.secret import Secret

_SENTINEL: Final = ("redis+sentinel://", "rediss+sentinel://")
_SENTINEL_PORT: Final = 26379
#: Options allowed in URLs; the others of redis-py are Python objects.
_OPTIONS: Final = frozenset(
    {
        *("client_name", "db", "decode_responses", "health_check_interval"),
        *("lib_name", "lib_version", "max_connections", "password", "protocol", "retry_on_timeout"),
        *("sentinel_password", "sentinel_username", "socket_connect_timeout", "socket_keepalive"),
        *("socket_read_size", "socket_timeout", "timeout", "username"),
    }
)
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")


def client_for(url: Secret, *, timeout: float, connect_timeout: float) -> Redis | ConfigurationError:
    """Return a client, which connects on demand, or the error.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://``, or for the master that Sentinels report
            ``redis+sentinel://[user:password@]host[:port][,host[:port]]/service[/database]`` (with TLS:
            ``rediss+sentinel://``). Options of redis-py may follow, and ``sentinel_username`` and
            ``sentinel_password``.
        timeout: seconds for a response, unless the URL sets them.
        connect_timeout: seconds for a connection.
    """
    if url.reveal().startswith(_CLUSTER):
        return ConfigurationError("a Redis Cluster is not supported: name a Redis without cluster mode")
    if not _has_known_options(url):  # The error does not quote it: it may be a part of the password.
        return ConfigurationError(f"url has an unknown option; known: ssl_..., {', '.join(sorted(_OPTIONS))}")
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        # Replaces a connection that Redis closed while it was idle; a timeout is not retried.
        "retry": Retry(NoBackoff(), 1, (NoConnection,)),
        "retry_on_error": [NoConnection],  # redis-py 5 retries nothing else.
    }
    refusal = ConfigurationError(
        "url must be redis://, rediss://, unix:// or redis+sentinel://HOST/SERVICE, as redis-py reads it"
    )
    try:
        if url.reveal().startswith(_SENTINEL):
            client = _master(url, options)
        else:
            client = Redis.from_url(url.reveal(), **options)
        # Without connecting, to detect bad options that redis-py would only report in each call.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        settings = client.connection_pool.connection_kwargs
        usable = all(0 < settings[name] < math.inf for name in ("socket_timeout", "socket_connect_timeout"))
    except Exception:  # noqa: BLE001  (redis-py raises many types; the text may quote a part of the password)
        return refusal
    if not usable:
        return refusal
    for name in _FILES:
        if (file := settings.get(name)) and not Path(file).is_file():
            return ConfigurationError(f"{name} in the url is not the path of a file")
    # Hashes are bytes, so responses are never decoded, even if the URL requests it.
    client.connection_pool.connection_kwargs.pop("decode_responses", None)
    return client


def _has_known_options(url: Secret) -> bool:
    names = urllib.parse.parse_qs(url.reveal().partition("?")[2], keep_blank_values=True)
    return all(name in _OPTIONS or name.startswith("ssl_") for name in names)


def _master(url: Secret, options: dict[str, Any]) -> Redis:
    """Return a client of the master that Sentinels report; raise `ValueError` for an unusable URL."""
    scheme, _, rest = url.reveal().partition("://")
    authority, _, path = rest.partition("/")
    path, _, query = path.partition("?")
    user, _, hosts = authority.rpartition("@")
    service, *database = [part for part in path.split("/") if part]
    wanted = dict(urllib.parse.parse_qsl(query))
    sentinels = {name: wanted.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    # redis-py reads user, password, database and options as in any other URL.
    text = f"{scheme.partition('+')[0]}://{user}{'@' if user else ''}localhost/{''.join(database)}"
    settings = options | dict(parse_url(f"{text}?{urllib.parse.urlencode(wanted)}"))
    for name in ("host", "port", "connection_class"):
        settings.pop(name, None)
    encryption = {name: value for name, value in settings.items() if name.startswith("ssl_")}
    if scheme.startswith("rediss"):
        encryption["ssl"] = settings["ssl"] = True
    manager = Sentinel(  # type: ignore[no-untyped-call]
        [_address(host) for host in hosts.split(",")],
        sentinel_kwargs={
            **{name: value for name, value in sentinels.items() if value is not None},
            **encryption,
            "socket_timeout": settings["socket_timeout"],
            "socket_connect_timeout": settings["socket_connect_timeout"],
        },
    )
    pool = _MasterPool(service, manager, **settings)  # type: ignore[no-untyped-call]
    return Redis.from_pool(pool)


class _MasterPool(SentinelConnectionPool):
    """Connections to the master. Closing them closes those to the Sentinels."""

    async def aclose(self) -> None:
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _address(text: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(f"//{text.strip()}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or _SENTINEL_PORT
