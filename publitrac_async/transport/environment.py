"""Credentials and settings from the environment, or from the files it names.

These functions return errors instead of raising: the environment holds credentials, and error trackers record
the local names of frames. Callers drop it first, then raise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.secret import Secret, seal


def read_variable(environment: Mapping[str, str] | None, variable: str) -> Secret | ConfigurationError | None:
    """Return the value of `variable`, or the content of the file that `variable` + ``_FILE`` names.

    Args:
        environment: instead of ``os.environ``.
        variable: name of the variable.

    Returns:
        The value; ``None`` if neither is set; the error if the file cannot be read or the value is unusable.
    """
    variables = os.environ if environment is None else environment
    value = variables.get(variable)
    path = variables.get(f"{variable}_FILE")
    if value is not None and path is not None:
        return ConfigurationError(f"{variable} and {variable}_FILE are both set: unset one of them")
    if path is not None:
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            kind = type(error).__name__
            return ConfigurationError(f"the file that {variable}_FILE names cannot be read: {kind}")
    return None if value is None else seal(value, variable)


def read_variables(
    environment: Mapping[str, str] | None, prefix: str, names: Iterable[str]
) -> dict[str, Secret] | ConfigurationError:
    """Return the options that the environment sets, by name; or the error if one of them is unusable.

    Args:
        environment: instead of ``os.environ``.
        prefix: ``"PUBLITRAC_"``.
        names: options, in lower case.
    """
    found: dict[str, Secret] = {}
    for name in names:
        value = read_variable(environment, prefix + name.upper())
        if isinstance(value, ConfigurationError):
            return value
        if value is not None:
            found[name] = value
    return found


def missing_variable(variable: str) -> ConfigurationError:
    """Return the error for a variable that is not set."""
    return ConfigurationError(f"the environment has neither {variable} nor {variable}_FILE: set one of them")
