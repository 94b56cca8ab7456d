"""`sandbox`: run an emulated PUBLITRAC on this machine."""

from __future__ import annotations

import asyncio
import importlib
import shlex
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from publitrac_async.bulk import ExitStatus
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.exits import CommandError


def load_sandbox() -> Any:
    """Import the sandbox.

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


async def serve(
    *, host: str, port: int, allowed_hosts: Collection[str], rate: int, database: Path | None
) -> int:
    """Run the sandbox until a signal, with the credentials of the vendor's documents.

    Args:
        host: address to listen on.
        port: TCP port; 0 for a free one.
        allowed_hosts: host names to accept in requests, besides those of the loopback interface.
        rate: calls per second to allow.
        database: file for the records; ``None`` keeps them in memory.

    Returns:
        The exit status: `OK` after SIGTERM, `INTERRUPTED` after Ctrl-C.

    Raises:
        CommandError: the extra is not installed, or the address cannot be used.
    """
    module = load_sandbox()
    ended = asyncio.Event()
    listening = False
    try:
        sandbox = module.Sandbox(
            host=host,
            port=port,
            allowed_hosts=allowed_hosts,
            rate_limit=rate,
            database=":memory:" if database is None else str(database),
        )
        async with sandbox:
            with suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
            listening = True
            _show(sandbox, rate)
            await ended.wait()
    except ValueError as error:
        raise CommandError(str(error).replace("allowed_hosts", "--allow-host")) from None
    except OSError as error:
        message = f"port {port} of {host} cannot be used ({error.strerror}): choose another"
        raise CommandError(message, ExitStatus.ABORTED) from None
    except asyncio.CancelledError:
        if not listening:
            raise
        return ExitStatus.INTERRUPTED
    return ExitStatus.OK


def _show(sandbox: Any, rate: int) -> None:
    to_stdout(f"Emulated PUBLITRAC at {sandbox.base_url}, {rate} calls per second. Press Ctrl-C to end it.")
    to_stdout(f"Web page to inspect it: {sandbox.inspector_url}")
    to_stdout("Settings for another shell:")
    for name, value in sandbox.environment.items():
        to_stdout(f"  export {name}={shlex.quote(value)}")
