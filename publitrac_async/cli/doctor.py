"""`doctor`: what a report of a problem should say, without any secret."""

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
from publitrac_async.cli.console import say
from publitrac_async.cli.exits import Exit
from publitrac_async.client import read_environment
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.base import check_base_url
from publitrac_async.version import __version__

_NEEDED: Final = ("aiohttp", "httpx", "aiolimiter", "attrs", "cattrs", "orjson", "xmltodict")
_OPTIONAL: Final = ("click", "rich", "uvicorn", "python-calamine", "XlsxWriter", "duckdb", "redis")


def show(*, as_json: bool, environment: Mapping[str, str] | None = None) -> int:
    """Print versions, limits and configuration.

    Returns:
        The exit status: 1 if a setting is unusable.
    """
    environment = os.environ if environment is None else environment
    settings = {name: _setting(environment, name) for name in ("api_key", "username", "password", "base_url")}
    sections: dict[str, dict[str, Any]] = {
        "versions": _versions(),
        "limits": {
            "calls a second": config.CALLS_PER_SECOND,
            "seconds added to each": config.RATE_GUARD,
            "calls in flight": config.CONCURRENCY,
            "seconds for a call": config.Timeout().total,
            "attempts": config.RetryPolicy().attempts,
            "seconds for a call of sync": config.BULK_TIMEOUT.total,
            "attempts of a call of sync": config.BULK_RETRY.attempts,
            "bytes of an answer": config.MAX_BODY,
        },
        "configuration": settings,
    }
    if as_json:
        say(json.dumps(sections, ensure_ascii=False))
    else:
        for title, facts in sections.items():
            say(title)
            width = max(map(len, facts))
            for name, value in facts.items():
                say(f"  {name:<{width}}  {value}")
    return Exit.ABORTED if any(value.startswith("unusable") for value in settings.values()) else Exit.FINE


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


def _setting(environment: Mapping[str, str], name: str) -> str:
    """Whether a setting is there and where from; never its value, but for the host that is spoken to."""
    variable = f"PUBLITRAC_{name.upper()}"
    try:
        secret = read_environment(environment, name)
        if secret is None:
            return "not set" if name != "base_url" else f"not set: {config.BASE_URL}"
        source = variable if variable in environment else f"the file that {variable}_FILE names"
        if name != "base_url":
            return f"set, by {source}"
        return f"{check_base_url(secret.reveal(), allow_insecure_http=False)}, by {source}"
    except ConfigurationError as error:
        return f"unusable: {error.message}"
