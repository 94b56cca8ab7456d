"""`sandbox`: an emulated PUBLITRAC on this machine."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.console import say
from publitrac_async.cli.exits import CommandError


def load_sandbox() -> Any:
    """The package of the sandbox.

    Raises:
        CommandError: its extra is not installed.
    """
    try:
        return importlib.import_module("publitrac_async.sandbox")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("publitrac_async"):
            raise
        message = "the sandbox needs an extra: pip install 'publitrac_async[sandbox]'"
    raise CommandError(message)


async def serve(*, port: int, rate: int, database: Path | None) -> int:
    """Run the sandbox until it is interrupted. Its credentials are those of the vendor's documents."""
    started = [False]

    def show(sandbox: Any) -> None:
        started[0] = True
        say(f"Emulated PUBLITRAC at {sandbox.base_url}, {rate} calls a second. Ctrl-C ends it.")
        say("For another shell:")
        say(f"  export PUBLITRAC_BASE_URL={sandbox.base_url}")
        say(f"  export PUBLITRAC_API_KEY={sandbox.api_key}")
        say(f"  export PUBLITRAC_USERNAME={sandbox.username} PUBLITRAC_PASSWORD={sandbox.password}")

    module = load_sandbox()
    try:
        await module.serve_forever(
            started=show,
            port=port,
            rate_limit=rate,
            database=":memory:" if database is None else str(database),
        )
    except OSError as error:
        raise CommandError(f"port {port} cannot be used: {error.strerror}", ExitStatus.ABORTED) from None
    except asyncio.CancelledError:
        if not started[0]:
            raise
    return ExitStatus.INTERRUPTED
