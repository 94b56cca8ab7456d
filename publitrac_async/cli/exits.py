"""An error that ends a command; `ExitStatus` lists the statuses."""

from __future__ import annotations

from typing import Final

from publitrac_async.bulk import BulkError, ExitStatus
from publitrac_async.errors import ConfigurationError, PublitracError


class CommandError(Exception):
    """Ends a command with one line on stderr.

    Args:
        message: the line, without personal data or credentials.
        status: the exit status.
    """

    def __init__(self, message: str, status: ExitStatus = ExitStatus.USAGE) -> None:
        super().__init__(message)
        self.status: Final = status


def ending_of(error: Exception) -> tuple[str, ExitStatus] | None:
    """Return the line and the exit status for an error, ``None`` if it is a bug."""
    match error:
        case CommandError():
            return str(error), error.status
        case ConfigurationError() | BulkError():
            return error.message, ExitStatus.USAGE
        case PublitracError():
            words = "" if error.vendor_message is None else f'\nThe service says: "{error.vendor_message}"'
            return f"{type(error).__name__}: {error}{words}", ExitStatus.ABORTED
        case _:
            return None
