"""`doctor`: facts for a bug report, without secrets."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import pyexpat
import sqlite3
import ssl
from collections.abc import Mapping
from typing import Any, Final

from publitrac_async import config
from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.online import try_service
from publitrac_async.cli.vendors import SERVICES
from publitrac_async.cli.vendors.base import Service
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.base import check_base_url
from publitrac_async.transport.budget import BUDGET
from publitrac_async.transport.environment import read_variable
from publitrac_async.transport.secret import Secret
from publitrac_async.version import __version__

_NEEDED: Final = ("aiohttp", "httpx", "aiolimiter", "attrs", "cattrs", "orjson", "xmltodict")
_OPTIONAL: Final = (
    "click",
    "rich",
    "uvicorn",
    "python-calamine",
    "XlsxWriter",
    "duckdb",
    "redis",
    "pydocket",
)


async def show(
    *, as_json: bool, online: bool = False, environment: Mapping[str, str] | None = None
) -> ExitStatus:
    """Print versions, limits and configuration, and the state of Redis if configured.

    Args:
        as_json: print one JSON object.
        online: test the credentials as well.
        environment: mapping to use instead of ``os.environ``.

    Returns:
        The exit status: `USAGE` if a setting is unusable, `ABORTED` if a call fails.
    """
    environment = os.environ if environment is None else environment
    settings = {
        **{service.name: _settings(environment, service) for service in SERVICES},
        "sharing": await _sharing(environment),
        "Redis": await _redis(environment),
    }
    sections: dict[str, Mapping[str, Any]] = {
        "versions": _versions(),
        "limits": {
            "calls a second": config.CALLS_PER_SECOND,
            "seconds added to each": config.RATE_GUARD,
            "calls in flight": config.CONCURRENCY,
            "seconds for a call": config.Timeout().total,
            "attempts": config.RetryPolicy().attempts,
            "seconds for a call of sync": config.BULK_TIMEOUT.total,
            "attempts of a call of sync": config.BULK_RETRY.attempts,
            "bytes of a response": BUDGET.body,
        },
        **settings,
    }
    if online:
        sections["service"] = await try_service(environment)
    if as_json:
        to_stdout(json.dumps(sections, ensure_ascii=False))
    else:
        for title, facts in sections.items():
            to_stdout(title)
            width = max(map(len, facts))
            for name, value in facts.items():
                to_stdout(f"  {name:<{width}}  {value}")
    unusable = any(value.startswith("unusable") for facts in settings.values() for value in facts.values())
    if unusable:
        return ExitStatus.USAGE
    failed = any(line.startswith("fails") for line in sections.get("service", {}).values())
    return ExitStatus.ABORTED if failed else ExitStatus.OK


def _versions() -> dict[str, str]:
    return {
        "publitrac_async": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {platform.system()})",
        **{name: _version(name) for name in (*_NEEDED, *_OPTIONAL)},
        "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
        "OpenSSL": ssl.OPENSSL_VERSION,
        "SQLite": sqlite3.sqlite_version,
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _settings(environment: Mapping[str, str], service: Service) -> dict[str, str]:
    return {
        **{name: _setting(environment, f"{service.prefix}_{name.upper()}") for name in service.secrets},
        "base_url": _base_url(environment, f"{service.prefix}_BASE_URL", service.base_url),
    }


def _setting(environment: Mapping[str, str], variable: str) -> str:
    """Return the origin of a setting, but never its value."""
    found = read_variable(environment, variable)
    if isinstance(found, ConfigurationError):
        return f"unusable: {found.message}"
    return "not set" if found is None else f"set, by {_origin(environment, variable)}"


def _base_url(environment: Mapping[str, str], variable: str, default: str | None) -> str:
    """Return the base URL and its origin."""
    found = read_variable(environment, variable)
    try:
        if isinstance(found, ConfigurationError):
            raise found
        if found is None:
            return "not set" if default is None else f"not set: {default}"
        url = check_base_url(found.reveal(), allow_insecure_http=False)
        return f"{url}, by {_origin(environment, variable)}"
    except ConfigurationError as error:
        return f"unusable: {error.message}"


def _origin(environment: Mapping[str, str], variable: str) -> str:
    return variable if variable in environment else f"the file that {variable}_FILE names"


async def _sharing(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the location of the shared limit and token, and if it is Redis, its state."""
    variable = "PUBLITRAC_SHARED"
    location = read_variable(environment, variable)
    setting = {"location": _setting(environment, variable)}
    if not isinstance(location, Secret):
        return setting
    if location.reveal().startswith("file:"):
        # Not opened: if it is missing, this command would create it with its own user as the owner.
        return setting | {"kind": "a file of this host"}
    return setting | await _try_redis(environment, location, state=False)


async def _redis(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the state of the Redis for state stores and workers."""
    variable = "PUBLITRAC_REDIS_URL"
    url = read_variable(environment, variable)
    setting = {"url": _setting(environment, variable)}
    if not isinstance(url, Secret):
        return setting
    return setting | await _try_redis(environment, url, state=True)


async def _try_redis(environment: Mapping[str, str], url: Secret, *, state: bool) -> dict[str, str]:
    """Return the state of a Redis: response, rights, persistence, eviction.

    The URL is not part of it, because it may hold a password.

    Args:
        environment: environment with the API key.
        url: URL of the Redis.
        state: true if state stores and workers use it, false if only limit and token do.
    """
    try:
        from publitrac_async.shared.redis.connection import Connection, Unavailable  # noqa: PLC0415  (extra)
        from publitrac_async.shared.redis.rights import examine  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return {"server": f"unusable: {error}"}
    # With the keys of this account, because the rights of the user may be limited to them.
    account = read_variable(environment, "PUBLITRAC_API_KEY")
    try:
        connection = Connection(url, account if isinstance(account, Secret) else "doctor")
    except ConfigurationError as error:
        return {"server": f"unusable: {error.message}"}
    try:
        queue = f"{connection.key('default')}:queue" if state else None
        problems = await examine(connection, state=state, queue=queue)
        facts = await connection.facts()
    except Unavailable as error:
        reason = connection.refusal or f"Redis does not respond ({error})"
        return {"server": f"unusable: {reason}"}
    finally:
        await connection.aclose()
    name = facts.get("server_name", "redis")
    fatal = [problem.text for problem in problems if problem.fatal]
    warnings = [problem.text for problem in problems if not problem.fatal]
    enough = "enough for limit, state stores and workers" if state else "enough for limit and token"
    found = {
        "server": f"{name} {facts.get(f'{name}_version', facts.get('redis_version', 'of unknown version'))}",
        "when its memory is full": str(facts.get("maxmemory_policy", "unknown")),
        "rights": f"unusable: {'; '.join(fatal)}" if fatal else enough,
    }
    if state:
        kept = "yes" if facts.get("aof_enabled") else "no: a restart loses state and queues"
        found["append-only file"] = kept if facts else "unknown"
    return found | ({"warning": "; ".join(warnings)} if warnings else {})
