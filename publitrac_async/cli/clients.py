"""Client settings, chosen by the options of a command."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from publitrac_async.client import PublitracClient
from publitrac_async.config import Rate, parse_rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.profile import read_profile
from publitrac_async.transport.environment import read_variable
from publitrac_async.transport.trace import Trace


@frozen(kw_only=True)
class ClientSettings:
    """Settings of the clients of one command.

    Attributes:
        trace: trace of every client, of any vendor.
        profile: profile of clients of PUBLITRAC; ``None`` for that of the environment.
    """

    trace: Trace | None = field(default=None, repr=False)
    profile: Path | None = None


_NONE: Final = ClientSettings()
_CHOSEN: Final[ContextVar[ClientSettings]] = ContextVar("client settings", default=_NONE)


def choose(settings: ClientSettings) -> None:
    """Set the settings of all clients that this command opens."""
    _CHOSEN.set(settings)


def settings_of_any() -> dict[str, Any]:
    """Return those chosen settings that clients of all vendors accept."""
    return {"trace": _CHOSEN.get().trace}


def configured_rate() -> Rate | None:
    """Return the rate limit of PUBLITRAC in the environment, or in the chosen profile; ``None`` without one.

    Raises:
        ConfigurationError: it is unusable.
    """
    found = read_variable(None, "PUBLITRAC_RATE_LIMIT")
    if isinstance(found, ConfigurationError):
        raise found
    if found is not None:
        return parse_rate(found.reveal(), "PUBLITRAC_RATE_LIMIT")
    profile = _CHOSEN.get().profile
    calls = None if profile is None else read_profile(profile).client.get("rate_limit")
    return None if calls is None else Rate(calls)


def open_publitrac(environment: Mapping[str, str] | None = None, **settings: Any) -> PublitracClient:
    """Return a client with the credentials of the environment and the chosen settings.

    Args:
        environment: mapping to use instead of ``os.environ``.
        **settings: further arguments of `PublitracClient`.

    Raises:
        ConfigurationError: the environment lacks the API key, or a value is unusable.
    """
    settings = settings_of_any() | settings
    return PublitracClient.from_env(environment, profile=_CHOSEN.get().profile, **settings)
