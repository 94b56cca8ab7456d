"""`worker`: sends the chunks of runs that other processes begin."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk import Stop
from publitrac_async.cli import hosts
from publitrac_async.cli.console import say, tell
from publitrac_async.cli.exits import CommandError, Exit
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.sinks import WORKERS, SinkOptions, open_sink

#: Seconds in which a line is not written again: without Redis, docket has one to say every second.
_REPEAT: Final = 60.0


@frozen(kw_only=True)
class WorkerOptions(SinkOptions):
    """The options of `worker`, as its help describes them."""

    ledger: str
    workers: int | None
    chunks: int
    sources: Iterable[str]


async def run_worker(options: WorkerOptions) -> int:
    """Carry out `worker`, until a signal comes.

    Returns:
        The exit status.

    Raises:
        CommandError: an option is missing or wrong, or the extra is not installed.
        ConfigurationError: the environment lacks credentials.
        LedgerError: Redis does not answer.
    """
    docket = hosts.load_docket()
    sources = load_sources(options.sources)
    workers = options.workers or WORKERS[options.via]
    stop = Stop()
    async with AsyncExitStack() as stack:
        sink, _ = await open_sink(stack, options, ())
        ledger = options.shared_ledger(options.ledger)
        stack.push_async_callback(ledger.aclose)
        await ledger.stopped()  # Nothing but a look whether Redis answers.
        await stack.enter_async_context(signals_go_to(stop))
        logging.basicConfig(handlers=[LogLines()])
        say(
            f"Worker for ledger {options.ledger}: sends to {sink.destination}, {options.chunks} chunks of "
            f"{workers} calls at once. Ctrl-C lets its calls end."
        )
        await docket.serve(
            hosts.needed_redis_url(options.redis),
            sink,
            ledger,
            sources=sources,
            workers=workers,
            chunks=options.chunks,
            stop=stop,
        )
    return Exit.FINE


class LogLines(logging.Handler):
    """Writes log records to stderr in a line each, without tracebacks, and the same one once a minute."""

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
    """The functions that options like ``crm=sources:customers`` name.

    Raises:
        CommandError: one of them cannot be had.
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
    # Modules in the folder of the shell, as `python -m` finds them.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise CommandError(f"--source: {module} cannot be imported: {error}") from None
    if not callable(found):
        raise CommandError(f"--source: {module} has no function {function}")
    return found  # type: ignore[no-any-return]  # a user's function
