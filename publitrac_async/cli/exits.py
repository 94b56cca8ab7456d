"""Exit statuses, and how a command ends with one."""

from __future__ import annotations

import enum
from typing import Final


class Exit(enum.IntEnum):
    """What a command's exit status says."""

    FINE = 0
    ABORTED = 1
    USAGE = 2
    REJECTED = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command with one line on stderr.

    Args:
        message: the line, without personal data or credentials.
        status: the exit status.
    """

    def __init__(self, message: str, status: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.status: Final = status
