"""Fixtures of every test."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, however busy the machine is; `nox -s fuzz` looks for new ones.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy"}
#: Variables of each vendor with its own client begin with the name of its package.
_ROOMS = Path(__file__).parents[1].glob("publitrac_async/*/client.py")
_CREDENTIALS = ("PUBLITRAC_", *(f"{client.parent.name.upper()}_" for client in _ROOMS))
_TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "NETRC"}

# Background jobs of a shell ignore Ctrl-C, and so would every program that tests start in them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the longest slow tests first, if several run at a time, so that none is left at the end.

    A worker gets two tests to begin with: a long one and a short one.
    """
    if not hasattr(config, "workerinput") or not all(item.get_closest_marker("slow") for item in items):
        return
    items.sort(key=_timeout, reverse=True)
    half = (len(items) + 1) // 2
    items[::2], items[1::2] = items[:half], items[half:][::-1]


def _timeout(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return 0.0 if marker is None else float(marker.args[0])


def pytest_collection_finish() -> None:
    """Keep modules and collected tests out of garbage collections: one takes 50 ms and more with them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide credentials, proxies and certificates of the machine from tests."""
    for name in list(os.environ):
        if name.startswith(_CREDENTIALS) or name.lower() in _PROXIES or name in _TRUST:
            monkeypatch.delenv(name)
