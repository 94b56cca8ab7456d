"""Credentials and settings from the environment, or from the files it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.secret import Secret, seal


def read_variable(environment: Mapping[str, str], variable: str) -> Secret | None:
    """The value of `variable`, or of the file that `variable` with ``_FILE`` names; ``None`` without both.

    Raises:
        ConfigurationError: the file cannot be read, or the value is unusable.
    """
    value = environment.get(variable)
    path = environment.get(f"{variable}_FILE")
    if value is None and path is not None:
        problem = None
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the file that {variable}_FILE names cannot be read: {type(error).__name__}"
        if problem is not None:
            raise ConfigurationError(problem)
    if value is None:
        return None
    secret = seal(value, variable)
    del value
    if isinstance(secret, ConfigurationError):
        raise secret
    return secret
