"""Emulated vendors for tests and trials: PUBLITRAC v1 and v2, Marketo and Vitec, over SQLite.

Needs the extra `sandbox`. Written from the vendors' documents alone: it shares no code with the client, so
that neither can hide the other's mistakes.
"""

from publitrac_async.sandbox.content import Content
from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.journal import Arrival, Journal, Received
from publitrac_async.sandbox.server import Sandbox, serve_forever
from publitrac_async.sandbox.settings import SandboxOptions, SandboxSettings
from publitrac_async.sandbox.settings.marketo import MarketoSettings
from publitrac_async.sandbox.settings.publitrac import PublitracSettings
from publitrac_async.sandbox.settings.server import ServerSettings
from publitrac_async.sandbox.settings.vitec import VitecSettings

__all__ = [
    "Arrival",
    "Content",
    "Fault",
    "Journal",
    "MarketoSettings",
    "PublitracSettings",
    "Received",
    "Sandbox",
    "SandboxOptions",
    "SandboxSettings",
    "ServerSettings",
    "VitecSettings",
    "serve_forever",
]


def __dir__() -> list[str]:
    return sorted(__all__)
