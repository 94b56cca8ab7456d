"""Errors that end a command, and the exit status of errors and reports.

`ExitStatus` in `bulk/report/model.py` lists the statuses. `cli/sync.py` changes that of a report if the
command was interrupted, or if leads for ``--list`` are missing. `cli/ending.py` ends the process.
"""

from __future__ import annotations

from typing import Final

from publitrac_async.bulk import BulkError, ExitStatus, Report
from publitrac_async.bulk.errors import StateStoreInUse
from publitrac_async.cli.advice import next_step
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
    """Return the text and the exit status for an error, ``None`` if it is a bug.

    The text has a line each for the error, the message of the service and the next step.
    """
    match error:
        case CommandError():
            return str(error), error.status
        case StateStoreInUse():
            return _text(error.message, error), ExitStatus.IN_USE
        case ConfigurationError() | BulkError():
            return _text(error.message, error), ExitStatus.USAGE
        case PublitracError():
            return _text(f"{type(error).__name__}: {error}", error), ExitStatus.ABORTED
        case _:
            return None


def exit_status(report: Report, *, sandbox: bool) -> ExitStatus:
    """Return the exit status for a report.

    With the sandbox, rejected rows are part of the demonstration, not a failure.
    """
    found = report.verification
    if found is not None and (found.differs or found.missing or found.stopped):
        return ExitStatus.ABORTED
    if sandbox and report.exit_code == ExitStatus.REJECTED and not report.unknown:
        return ExitStatus.OK
    return report.exit_code


def _text(first: str, error: PublitracError) -> str:
    lines = [first]
    if error.vendor_message is not None:
        lines.append(f'The service says: "{error.vendor_message}"')
    if (step := next_step(error)) is not None:
        lines.append(f"Next: {step}")
    return "\n".join(lines)
