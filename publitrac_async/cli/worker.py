"""`worker`: send the chunks of runs that other processes start."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import frozen

from publitrac_async import bulk
from publitrac_async.bulk import ExitStatus, Shutdown
from publitrac_async.bulk.shutdown import cancelled
from publitrac_async.cli import hosts
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.health import WorkerHealth, health_port
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.vendors import VENDORS, open_sink
from publitrac_async.cli.vendors.base import SinkOptions

logger: Final = logging.getLogger("publitrac_async.worker")


@frozen(kw_only=True)
class WorkerOptions(SinkOptions):
    """Options of `worker`; its help describes them."""

    state: str
    concurrency: int | None
    chunks: int
    sources: Iterable[str]
    health_port: int | None
    health_host: str
    log_format: str
    log_level: str
    opentelemetry: bool


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
            hosts.needed_redis(options.via, redis=options.redis, own=options.own, rate=options.rate)
        )
        health = WorkerHealth(shared.ping, shutdown)
        hooks: list[Any] = [health] if options.health_port is not None else []
        if options.opentelemetry:
            hooks.append(_load_opentelemetry())
        sink, _ = await open_sink(stack, options, hooks, shared)
        state = bulk.RedisStateStore(shared, options.state, durable=not sink.idempotent)
        announce = logger.info if options.log_format == "json" else to_stdout
        if options.health_port is not None:
            port = await stack.enter_async_context(
                health_port(health, options.health_host, options.health_port)
            )
            announce(f"Health: http://{options.health_host}:{port}/ready and /live")
        await stack.enter_async_context(signals_go_to(shutdown))
        # Checked before the announcement, although `serve` checks it again.
        if not await _unless_shut_down(state.check(queue=True), shutdown):
            return ExitStatus.OK
        announce(
            f"Worker for state store {options.state}: sends to {sink.destination}, {options.chunks} chunks "
            f"with {concurrency} calls in flight each. On Ctrl-C it completes its calls and ends."
        )
        health.started = True
        await docket.serve(
            sink,
            state,
            sources=sources,
            concurrency=concurrency,
            chunks=options.chunks,
            shutdown=shutdown,
            hooks=hooks,
        )
    return ExitStatus.OK


async def _unless_shut_down(check: Coroutine[Any, Any, None], shutdown: Shutdown) -> bool:
    """Await a check; return False if a shutdown is requested before it ends."""
    checking, draining = asyncio.create_task(check), asyncio.create_task(shutdown.draining.wait())
    try:
        await asyncio.wait([checking, draining], return_when=asyncio.FIRST_COMPLETED)
        if checking.done():
            await checking
        return checking.done()
    finally:
        await cancelled(checking, draining)


def _load_opentelemetry() -> Any:
    """Return the hook of OpenTelemetry, with the global providers.

    Raises:
        CommandError: its extra is not installed.
    """
    try:
        from publitrac_async.opentelemetry import OpenTelemetry  # noqa: PLC0415  (an extra)
    except ImportError as error:
        failure = str(error)
    else:
        return OpenTelemetry()
    raise CommandError(f"--opentelemetry: {failure}")


def load_sources(options: Iterable[str]) -> dict[str, Callable[[], Any]]:
    """Import the functions that options like ``crm=sources:customers`` name.

    Raises:
        CommandError: an option is malformed, or its function cannot be imported.
    """
    sources: dict[str, Callable[[], Any]] = {}
    for option in options:
        name, _, target = option.partition("=")
        module, _, function = target.partition(":")
        if not (name and module and function):
            raise CommandError("--source must be NAME=MODULE:FUNCTION, such as crm=sources:customers")
        sources[name] = _load(module, function)
    return sources


def _load(module: str, function: str) -> Callable[[], Any]:
    # Find modules in the current folder, as `python -m` does.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise CommandError(f"--source: {module} cannot be imported: {error}") from None
    if not callable(found):
        raise CommandError(f"--source: {module} has no function {function}")
    return found  # type: ignore[no-any-return]  # a user's function
