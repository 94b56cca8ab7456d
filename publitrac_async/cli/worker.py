"""`worker`: send the chunks of runs that other processes start."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk import ExitStatus, Shutdown
from publitrac_async.cli import hosts
from publitrac_async.cli.console import say, tell
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.vendors import VENDORS, open_sink
from publitrac_async.cli.vendors.base import SinkOptions

#: Seconds in which a line is not repeated: without Redis, docket logs one every second.
_REPEAT: Final = 60.0


@frozen(kw_only=True)
class WorkerOptions(SinkOptions):
    """Options of `worker`; its help describes them."""

    state: str
    concurrency: int | None
    chunks: int
    sources: Iterable[str]


async def run_worker(options: WorkerOptions) -> int:
    """Run `worker` until a signal.

    Returns:
        The exit status.

    Raises:
        CommandError: an option is missing or wrong, or the extra is not installed.
        ConfigurationError: the environment lacks credentials.
        StateStoreError: Redis does not respond.
    """
    docket = hosts.load_docket()
    sources = load_sources(options.sources)
    vendor = VENDORS[options.via]
    concurrency = options.concurrency or vendor.concurrency
    shutdown = Shutdown()
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(
            hosts.needed_redis(options.via, customer=options.customer, redis=options.redis, rate=options.rate)
        )
        sink, _ = await open_sink(stack, options, (), shared)
        state = shared.state(options.state, durable=vendor.appends)
        await state.stopped()  # Fails if Redis does not respond.
        await stack.enter_async_context(signals_go_to(shutdown))
        logging.basicConfig(handlers=[LogLines()])
        say(
            f"Worker for state store {options.state}: sends to {sink.destination}, {options.chunks} chunks "
            f"with {concurrency} calls in flight each. Ctrl-C lets its calls end."
        )
        await docket.serve(
            sink, state, sources=sources, concurrency=concurrency, chunks=options.chunks, shutdown=shutdown
        )
    return ExitStatus.OK


class LogLines(logging.Handler):
    """Writes log records to stderr, one line each, without tracebacks, no line twice in a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        text = f"{record.name}: {record.getMessage()}"
        now = self._clock()
        if now - self._written.get(text, -_REPEAT) < _REPEAT:
            return
        self._written = {each: when for each, when in self._written.items() if now - when < _REPEAT}
        self._written[text] = now
        tell(text)


def load_sources(options: Iterable[str]) -> dict[str, Callable[[], Any]]:
    """Import the functions that options like ``crm=sources:customers`` name.

    Raises:
        CommandError: an option is malformed, or its function cannot be imported.
    """
    sources: dict[str, Callable[[], Any]] = {}
    for option in options:
        name, _, place = option.partition("=")
        module, _, function = place.partition(":")
        if not (name and module and function):
            raise CommandError("--source has to be like crm=sources:customers, NAME=MODULE:FUNCTION")
        sources[name] = _load(module, function)
    return sources


def _load(module: str, function: str) -> Callable[[], Any]:
    # Modules in the current folder, like `python -m`.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise CommandError(f"--source: {module} cannot be imported: {error}") from None
    if not callable(found):
        raise CommandError(f"--source: {module} has no function {function}")
    return found  # type: ignore[no-any-return]  # a user's function
