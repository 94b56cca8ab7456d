"""Run a command, and end with its exit status. `cli/exits.py` decides on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.console import to_stderr


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command in an event loop, and exit with its status."""
    try:
        status = asyncio.run(command)
    except KeyboardInterrupt:
        # Caught here, because click would exit with status 1.
        fail("interrupted", ExitStatus.INTERRUPTED)
    sys.exit(status)


def fail(message: str, status: ExitStatus) -> NoReturn:
    """Print an error and exit."""
    to_stderr(f"publitrac-async: {message}")
    sys.exit(status)
