"""Emulated vendors for tests and trials: PUBLITRAC v1 and v2, Marketo and Vitec, over SQLite.

Needs the extra `sandbox`. Written from the vendors' documents alone: it shares no code with the client, so
that neither can hide the other's mistakes.
"""

from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.journal import Arrival, Journal, Received
from publitrac_async.sandbox.server import Sandbox, serve_forever
from publitrac_async.sandbox.settings import SandboxSettings

__all__ = ["Arrival", "Fault", "Journal", "Received", "Sandbox", "SandboxSettings", "serve_forever"]
