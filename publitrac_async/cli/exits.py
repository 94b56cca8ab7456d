"""An error that ends a command; `ExitStatus` lists the statuses."""

from __future__ import annotations

from typing import Final

from publitrac_async.bulk import ExitStatus


class CommandError(Exception):
    """Ends a command with one line on stderr.

    Args:
        message: the line, without personal data or credentials.
        status: the exit status.
    """

    def __init__(self, message: str, status: ExitStatus = ExitStatus.USAGE) -> None:
        super().__init__(message)
        self.status: Final = status
