"""`status`: progress of runs on several hosts, their workers, and their failed rows."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from publitrac_async import bulk
from publitrac_async.bulk import ExitStatus, Shutdown, StateStoreError
from publitrac_async.bulk.rows import Line
from publitrac_async.bulk.state.progress import RunProgress
from publitrac_async.cli import hosts
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.tables import CsvTable
from publitrac_async.cli.target import opened
from publitrac_async.cli.vendors.base import OwnOptions

if TYPE_CHECKING:
    from publitrac_async.shared import SharedRedis

#: Seconds to wait for a Redis that does not respond.
_TIMEOUT: Final = 5.0
_COLUMNS: Final = ("publitrac_line", "publitrac_status", "publitrac_code", "publitrac_reason")
#: Digits of the number of a line.
_MAX_DIGITS: Final = 18
_TITLES: Final = ("state store", "run", "phase", "rows", "queued", "in flight", "failed", "rate", "workers")


@frozen(kw_only=True)
class StatusOptions:
    """Options of `status`; its help describes them."""

    state: str | None
    via: str
    own: OwnOptions
    redis: str | None = field(repr=False)
    watch: float | None
    failed: str | None
    as_json: bool


@frozen
class RunLine:
    """A run, and the workers of its state store by name with the time of their last sign of life."""

    run: RunProgress
    workers: Mapping[str, dt.datetime]

    def as_dict(self) -> dict[str, Any]:
        """Return both as JSON values."""
        workers = [
            {"name": name, "last_seen": seen.isoformat(timespec="seconds")}
            for name, seen in sorted(self.workers.items())
        ]
        return self.run.as_dict() | {"workers": workers}


async def run_status(options: StatusOptions) -> int:
    """Run `status`.

    Raises:
        CommandError: an option is missing or wrong, or the extra is not installed.
        ConfigurationError: the environment lacks the credential of the account.
        StateStoreError: Redis does not respond.
    """
    docket = hosts.load_docket()
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(
            hosts.needed_redis(options.via, redis=options.redis, own=options.own)
        )
        if options.failed is not None:
            return await _write_failed(shared, options.state or hosts.STATE, options.failed)
        if options.watch is None:
            _write(await _lines(shared, docket, options.state), as_json=options.as_json)
            return ExitStatus.OK
        shutdown = Shutdown()
        await stack.enter_async_context(signals_go_to(shutdown))
        await _watch(shared, docket, options, shutdown)
    return ExitStatus.OK


async def _watch(shared: SharedRedis, docket: ModuleType, options: StatusOptions, shutdown: Shutdown) -> None:
    assert options.watch is not None
    with _screen(as_json=options.as_json) as show:
        while not shutdown.requested:
            try:
                lines = await _lines(shared, docket, options.state)
            except StateStoreError as error:
                if not error.retryable:
                    raise
                to_stderr(error.message)  # Redis may restart.
            else:
                show(lines)
            try:
                async with asyncio.timeout(options.watch):
                    await shutdown.draining.wait()
            except TimeoutError:
                continue


def _screen(*, as_json: bool) -> AbstractContextManager[Any]:
    """Return a function that shows lines; on a terminal they replace the previous ones."""
    if not as_json and sys.stdout.isatty():
        from publitrac_async.cli.bar import screen  # noqa: PLC0415  (rich loads slowly)

        return screen(lambda lines: "\n".join(table_of(lines)))
    return nullcontext(lambda lines: _write(lines, as_json=as_json))


async def _lines(shared: SharedRedis, docket: ModuleType, only: str | None) -> list[RunLine]:
    names = await bulk.RedisStateStore(shared, durable=False, timeout=_TIMEOUT).names()
    if only is not None:
        if only not in names:
            raise CommandError(f"no run has used a state store {only}" + _known(names))
        names = [only]
    lines = []
    for name in names:
        state = bulk.RedisStateStore(shared, name, durable=False, timeout=_TIMEOUT)
        run = await state.progress()
        if run is not None:
            lines.append(RunLine(run, await docket.workers_of(state)))
    return lines


def _known(names: Sequence[str]) -> str:
    return f"; known: {', '.join(names)}" if names else ""


def _write(lines: Sequence[RunLine], *, as_json: bool) -> None:
    if as_json:
        to_stdout(json.dumps({"runs": [line.as_dict() for line in lines]}))
        return
    for text in table_of(lines):
        to_stdout(text)


def table_of(lines: Sequence[RunLine]) -> Iterator[str]:
    """Return a table of runs, followed by remarks about each run."""
    if not lines:
        yield "No runs."
        return
    rows = [_TITLES, *(_cells(line) for line in lines)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_TITLES))]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()
    for line in lines:
        yield from _remarks(line)


def _cells(line: RunLine) -> tuple[str, ...]:
    run = line.run
    numbers = (run.rows, run.queued, run.in_flight, run.failed)
    return (
        run.state_store,
        run.run,
        run.phase,
        *("-" if number is None else f"{number:,}" for number in numbers),
        f"{run.rate:.1f}/s",
        str(len(line.workers)),
    )


def _remarks(line: RunLine) -> Iterator[str]:
    run = line.run
    if run.stopped is not None:
        yield f"{run.state_store}: stopped: {run.stopped}."
    elif run.phase == "abandoned" and run.queued == 0:
        yield f"{run.state_store}: the process that started the run has ended; the same command reports it."
    elif run.phase == "abandoned":
        yield f"{run.state_store}: the process that started the run has ended; the same command resumes it."
    elif run.phase == "sending" and run.rows is not None and not line.workers:
        yield f"{run.state_store}: no worker is running: start some."
    elif run.phase == "sending" and not run.starter_alive:
        yield f"{run.state_store}: the process that started the run has ended; workers send the rest."
    if run.rows is not None:
        for name, seen in sorted(line.workers.items()):
            yield f"{run.state_store}: worker {name}, last seen {seen:%H:%M:%S} UTC"


def _sort_key(line: Line) -> tuple[str, int]:
    """Return file and number of a line."""
    file, _, number = str(line).rpartition(":")
    return file, int(number) if number.isdecimal() and len(number) <= _MAX_DIGITS else 0


async def _write_failed(shared: SharedRedis, name: str, file: str) -> int:
    """Write the failed rows of a run to a file that only its owner can read."""
    state = bulk.RedisStateStore(shared, name, durable=False, timeout=_TIMEOUT)
    run = await state.progress()
    if run is None:
        raise CommandError(f"no run has used a state store {name}" + _known(await state.names()))
    rows = [(line, each.outcome) async for each in state.failures() for line in each.lines]
    with opened(file) as target:
        table = CsvTable(target.file, _COLUMNS)
        for line, outcome in sorted(rows, key=lambda row: _sort_key(row[0])):
            state_and_error = (str(outcome.state), outcome.code or "", outcome.reason or outcome.kind or "")
            table.write(dict(zip(_COLUMNS, (line, *state_and_error), strict=True)))
        target.finish()
    to_stderr(f"{len(rows):,} failed rows of run {run.run} in {target.name}.")
    if run.phase == "sending":
        to_stderr("The run is still sending; failed rows of a chunk are listed when the chunk has ended.")
    return ExitStatus.OK
