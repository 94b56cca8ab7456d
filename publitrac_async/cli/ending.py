"""The run of a command, and its end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.console import to_stderr


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command in an event loop, and end with its exit status."""
    try:
        status = asyncio.run(command)
    except KeyboardInterrupt:
        # Here, since click would make it a status of 1.
        fail("interrupted", ExitStatus.INTERRUPTED)
    sys.exit(status)


def fail(message: str, status: ExitStatus) -> NoReturn:
    """End with an error."""
    to_stderr(f"publitrac-async: {message}")
    sys.exit(status)
