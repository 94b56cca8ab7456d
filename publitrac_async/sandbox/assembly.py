"""ASGI application of a sandbox: every API, in front of the accounts."""

from __future__ import annotations

from publitrac_async.sandbox.app import SandboxApp
from publitrac_async.sandbox.control import Control
from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.marketo import Marketo, MarketoIdentity
from publitrac_async.sandbox.message import Api
from publitrac_async.sandbox.publitrac_v1 import PublitracV1
from publitrac_async.sandbox.publitrac_v2 import PublitracV2
from publitrac_async.sandbox.vitec import Vitec


def assemble(core: SandboxCore) -> SandboxApp:
    """Return the application of a sandbox."""
    settings = core.settings
    apis: list[Api] = [
        PublitracV1(core.publitrac, settings),
        MarketoIdentity(core.marketo, settings),
        Marketo(core.marketo, settings),
        Vitec(core.vitec, settings),
    ]
    if settings.v2_enabled:
        apis.append(PublitracV2(core.publitrac, settings))
    return SandboxApp(core, apis, Control(core))
