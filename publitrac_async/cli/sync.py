"""`sync`: send a file of leads."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal

from attrs import frozen

from publitrac_async import bulk
from publitrac_async.bulk import (
    CallMeter,
    ColumnMapping,
    ErrorBudget,
    ExitStatus,
    FileSource,
    Monitor,
    Resend,
    RowTransform,
    Shutdown,
    SourceError,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.errors import StateStoreInUse
from publitrac_async.bulk.sources.file import STANDARD_INPUT
from publitrac_async.bulk.sources.files import Files
from publitrac_async.cli import hosts
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.cli.display import display_for
from publitrac_async.cli.exits import CommandError, exit_status
from publitrac_async.cli.lists import add_rows_to_list, done_rows
from publitrac_async.cli.signals import signals_go_to
from publitrac_async.cli.summary import write_report
from publitrac_async.cli.vendors import VENDORS, open_sink
from publitrac_async.cli.vendors.base import SinkOptions

#: Seconds between two attempts to open a state store that another process uses.
_WAIT: Final = 1.0


@frozen(kw_only=True)
class SyncOptions(SinkOptions):
    """Options of `sync`; its help describes them."""

    sources: tuple[Path, ...]
    format: str | None
    executor: Literal["local", "docket"]
    state: Path | None
    resend_unchanged: bool
    resend_rejected: bool
    reset: bool
    mapping: Path | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    header: int | None
    results: Path | None
    max_errors: float
    strict: bool
    min_rows: int
    allow_empty: bool
    limit: int | None
    wait: bool
    list_name: str | None
    quiet: bool
    log_file: Path | None
    as_json: bool

    def check_row_count(self, source: FileSource, rows: int) -> None:
        """Refuse a source with too few rows: it may be the result of a failed export.

        Raises:
            SourceError: there are fewer than `min_rows`.
        """
        least = 0 if self.allow_empty else self.min_rows
        if rows < least:
            hint = "; pass --allow-empty to accept it" if rows == 0 else ""
            raise SourceError(f"{source.name} has {rows:,} rows, fewer than {least:,}{hint}")
        if least and isinstance(source, Files) and source.without_rows:
            raise SourceError(
                f"{', '.join(source.without_rows)}: no rows; pass --allow-empty to accept empty files"
            )

    def open_source(self) -> FileSource:
        """Return the source."""
        source = read_leads(
            [each for path in self.sources for each in _matches(path)],
            encoding=self.encoding,
            delimiter=self.delimiter,
            sheet=self.sheet,
            format=self.format,
            header=self.header,
        )
        source.limit = self.limit
        return source

    def results_folder(self) -> Path | None:
        """Return the folder of the results, ``None`` for the default of `sync_leads`, or without results."""
        without = self.sandbox or self.executor != "local" or self.sources[0] == STANDARD_INPUT
        if self.results is not None or self.state is not None or without:
            return self.results
        first = self.sources[0]
        if first.exists() and not first.is_file():  # A pipe.
            return None
        name = first.name if first.exists() else "sync"
        # The folder of the source may be read-only.
        parents = [parent for parent in (first.parent, Path()) if os.access(parent, os.W_OK)]
        return parents[0] / f"{name}.results" if parents else None

    def load_mapping(self) -> ColumnMapping | None:
        """Return the mapping, ``None`` without a mapping file."""
        return None if self.mapping is None else ColumnMapping.load(self.mapping)


def _matches(path: Path) -> list[Path]:
    """Return the file at a path, or the files that match a pattern that the shell did not expand.

    Raises:
        CommandError: no file matches.
    """
    if path == STANDARD_INPUT or (path.exists() and not path.is_dir()):
        return [path]
    found = [
        each for each in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))) if each.is_file()
    ]
    if not found:
        raise CommandError(f"{path} is a folder" if path.is_dir() else f"{path} does not exist")
    return found


async def run_sync(options: SyncOptions) -> int:
    """Run `sync`; with ``--wait``, after the run of another process.

    Returns:
        The exit status.
    """
    source, reported = options.open_source(), False
    while True:
        try:
            return await _run_sync(options, source)
        except StateStoreInUse as error:
            if not options.wait:
                raise
            if not reported:
                to_stderr(f"{error.message}; waiting")
            reported = True
        await asyncio.sleep(_WAIT)


def _check_options(options: SyncOptions, *, distributed: bool) -> None:
    if distributed and options.sandbox:
        raise CommandError(
            "workers cannot reach a sandbox inside this command: run `publitrac-async sandbox` instead"
        )
    if distributed and options.state is not None and options.state.exists():
        raise CommandError(f"--state is a name with --executor docket, not a file: {options.state} is one")
    if options.wait and options.state is None and not distributed:
        raise CommandError("--wait needs --state or --executor docket")
    if not distributed:
        check_state_options(options.state, options.resend_unchanged, options.resend_rejected, options.reset)
    if options.list_name is not None and (
        options.sandbox or distributed or not VENDORS[options.via].verifies
    ):
        raise CommandError("--list needs --via v1 or v2, and neither --sandbox nor --executor docket")
    if options.list_name is not None and STANDARD_INPUT in options.sources and not options.results:
        raise CommandError("--list needs --results if the source is standard input")


async def _run_sync(options: SyncOptions, source: FileSource) -> int:
    distributed = options.executor == "docket"
    _check_options(options, distributed=distributed)
    vendor = VENDORS[options.via]
    meter, shutdown = CallMeter(None if vendor.batches else options.rate), Shutdown()
    async with AsyncExitStack() as stack:
        shared = None
        if not options.sandbox:
            find = hosts.needed_redis if distributed else hosts.shared_redis
            shared = find(options.via, redis=options.redis, own=options.own, rate=options.rate)
        if shared is not None:
            await stack.enter_async_context(shared)
        sink, verify = await open_sink(stack, options, [meter], shared)
        settings: dict[str, Any] = {"state": options.state}
        if vendor.appends:
            # After a kill, the row of a call that only waits in the client's queue would be unknown.
            settings["concurrency"] = vendor.concurrency
        if distributed:
            assert shared is not None
            hosts.load_docket()
            name = str(options.state or hosts.STATE)
            state = bulk.RedisStateStore(shared, name, durable=not sink.idempotent)
            settings = {"state": state, "executor": bulk.DocketExecutor()}
        await stack.enter_async_context(signals_go_to(shutdown))
        with display_for(as_json=options.as_json, quiet=options.quiet) as display:
            report = await sync_leads(
                source,
                sink,
                mapping=options.load_mapping(),
                strict=options.strict,
                min_rows=0 if options.allow_empty else options.min_rows,
                **settings,
                reset=options.reset,
                resend=Resend(unchanged=options.resend_unchanged, rejected=options.resend_rejected),
                error_budget=ErrorBudget(share=options.max_errors / 100),
                verify=verify,
                results_dir=options.results_folder(),
                monitor=Monitor(display, call_meter=meter),
                shutdown=shutdown,
            )
    status = exit_status(report, sandbox=options.sandbox)
    if shutdown.requested:
        status = ExitStatus.INTERRUPTED
    write_report(
        report,
        as_json=options.as_json,
        sandbox=options.sandbox,
        state_store=_state(options),
        idempotent=sink.idempotent,
        always=status is not ExitStatus.OK,
    )
    if options.list_name is None or report.results_dir is None or shutdown.requested:
        return status
    return await _add_to_list(options, options.list_name, source, report.results_dir, status)


async def _add_to_list(
    options: SyncOptions, name: str, source: FileSource, results: Path, status: ExitStatus
) -> ExitStatus:
    """Add the leads of the rows that are done to a list; return the exit status."""
    transform = RowTransform(mapping=options.load_mapping())
    rows = done_rows(results, source)
    added, missing = await add_rows_to_list(name, rows, transform, options.verify_timeout)
    always = status is not ExitStatus.OK or missing > 0
    if options.as_json:
        event = {"event": "list", "name": name, "added": added, "missing": missing}
        to_stdout(json.dumps(event, ensure_ascii=False), always=always)
    else:
        to_stdout(f"{added:,} rows are on the list {name}, {missing:,} have no lead yet.", always=always)
    return ExitStatus.REJECTED if missing and status is ExitStatus.OK else status


def _state(options: SyncOptions) -> str | None:
    """Return the arguments of `reconcile` for this run, ``None`` without a state store."""
    if options.executor == "local":
        return None if options.state is None else str(options.state)
    account = [
        f"{option.flag} {options.own[option.name]}"
        for option in VENDORS[options.via].options
        if option.of_account and option.name in options.own
    ]
    return " ".join([str(options.state or hosts.STATE), "--via", options.via, *account])


def check_state_options(state: Path | None, *needs_state: bool) -> None:
    """Refuse options about a state store without a state store.

    Raises:
        CommandError: an option needs a state store.
    """
    if state is None and any(needs_state):
        raise CommandError("--resend-unchanged, --resend-rejected and --reset need --state")
