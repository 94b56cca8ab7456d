"""Read a profile: the settings that a probe found on an account, in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from publitrac_async.errors import ConfigurationError
from publitrac_async.v1.shapes import V1Shapes, comma_separated_keys, empty_elements, repeated_keys

__all__ = ["Profile", "read_profile"]

#: Shapes of ``<customUnicityKeys>`` by their names in a profile.
_UNICITY_KEYS: Final = {"children": repeated_keys, "text": comma_separated_keys, "names": empty_elements}
_CLIENT: Final[Mapping[str, type]] = {
    "api_key_parameter": str,
    "credentials_in": str,
    "base_url": str,
    "rate_limit": int,
    "v2_rate_limit": int,
    "v1_shapes": dict,
}
_SHAPES: Final = (
    "token_id_parameter",
    "email_parameter",
    "list_name_parameter",
    "unicity_keys",
    "options_place",
)
_TABLES: Final = ("client", "found", "evidence", "probe")


@frozen(kw_only=True)
class Profile:
    """The content of a profile.

    Attributes:
        client: arguments of `PublitracClient`.
        found: settings of the sandbox that make it behave like the account: ``Sandbox(**profile.found)``.
        evidence: by point, the calls behind the settings, and their responses.
        probe: date, address and latency.
    """

    client: Mapping[str, Any] = field(factory=dict)
    found: Mapping[str, Any] = field(factory=dict)
    evidence: Mapping[str, Any] = field(factory=dict)
    probe: Mapping[str, Any] = field(factory=dict)


def read_profile(path: str | PathLike[str]) -> Profile:
    """Read a profile that ``publitrac-async probe`` wrote.

    Args:
        path: of the file.

    Raises:
        ConfigurationError: the file cannot be read, or has an unknown key or value.
    """
    name = f"profile {Path(path).name}"
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # Includes numbers that are too long, and deep nesting.
        raise ConfigurationError(f"{name} is not TOML: {error}") from None
    for table, value in content.items():
        if table not in _TABLES or not isinstance(value, dict):
            raise ConfigurationError(f"{name}: {table} is unknown; known: {', '.join(_TABLES)}")
    client = content.get("client", {})
    _check(name, "client", client, tuple(_CLIENT))
    for key, value in client.items():
        kind = _CLIENT[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigurationError(f"{name}: client.{key} must be {_KINDS[kind]}")
    if "v1_shapes" in client:
        client["v1_shapes"] = _shapes(name, client["v1_shapes"])
    return Profile(**content)


_KINDS: Final = {str: "a string", int: "a whole number", dict: "a table"}


def _shapes(name: str, table: dict[str, Any]) -> V1Shapes:
    where = "client.v1_shapes"
    _check(name, where, table, _SHAPES)
    for key, value in table.items():
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name}: {where}.{key} must be a string that is not empty")
    settings: dict[str, Any] = dict(table)
    keys = settings.pop("unicity_keys", None)
    if keys is not None:
        if keys not in _UNICITY_KEYS:
            raise ConfigurationError(
                f"{name}: {where}.unicity_keys must be one of {', '.join(_UNICITY_KEYS)}, not {keys!r}"
            )
        settings["unicity_keys"] = _UNICITY_KEYS[keys]
    try:
        return V1Shapes(**settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {where}: {error.message}") from None


def _check(name: str, where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ConfigurationError(f"{name}: {where}.{unknown[0]} is unknown; known: {', '.join(known)}")


def __dir__() -> list[str]:
    return sorted(__all__)
