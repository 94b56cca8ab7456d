"""Settings of the sandbox, with their defaults and sources."""

from __future__ import annotations

from attrs import frozen

from publitrac_async.sandbox.settings.marketo import MarketoOptions, MarketoSettings
from publitrac_async.sandbox.settings.publitrac import PublitracOptions, PublitracSettings
from publitrac_async.sandbox.settings.server import ServerOptions, ServerSettings
from publitrac_async.sandbox.settings.vitec import VitecOptions, VitecSettings


@frozen(kw_only=True, slots=False)
class SandboxSettings(ServerSettings, PublitracSettings, VitecSettings, MarketoSettings):
    """Settings of a sandbox: those of the server and of each emulated vendor.

    Defaults follow the vendors' documents.
    """


class SandboxOptions(ServerOptions, PublitracOptions, VitecOptions, MarketoOptions, total=False):
    """The keyword arguments of `Sandbox`: the fields of `SandboxSettings`, all optional."""


__all__ = ["SandboxOptions", "SandboxSettings"]
