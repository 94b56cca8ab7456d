"""Emulated vendors for tests and trials: PUBLITRAC v1 and v2, Marketo and Vitec, over SQLite.

Needs the extra `sandbox`. Written from the vendors' documents alone: it shares no code with the client, so
that neither can hide the other's mistakes.
"""

from .faults import Fault
from .journal import Arrival, Journal
from .server import Sandbox, serve_forever
from .settings import SandboxSettings

__all__ = ["Arrival", "Fault", "Journal", "Sandbox", "SandboxSettings", "serve_forever"]
