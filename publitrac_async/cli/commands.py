"""Commands and their options."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from publitrac_async.bulk import ExitStatus
from publitrac_async.bulk.sources import FORMATS
from publitrac_async.bulk.verify import RATE as VERIFY_RATE
from publitrac_async.cli import account, options, sandbox_server
from publitrac_async.cli.copying import CopyOptions, run_copy
from publitrac_async.cli.dry_run import show_dry_run
from publitrac_async.cli.ending import fail, run
from publitrac_async.cli.exits import CommandError, ending_of
from publitrac_async.cli.export import ExportOptions, run_export
from publitrac_async.cli.hosts import STATE
from publitrac_async.cli.logs import log_lines, log_outputs
from publitrac_async.cli.reconcile import ReconcileOptions, run_reconcile
from publitrac_async.cli.rules import excludes, needs
from publitrac_async.cli.status import StatusOptions, run_status
from publitrac_async.cli.suggest import suggest_mapping
from publitrac_async.cli.sync import SyncOptions, run_sync
from publitrac_async.cli.texts import (
    COPY_HELP,
    EXPORT_HELP,
    STATUS_HELP,
    SYNC_HELP,
    WORKER_HELP,
)
from publitrac_async.cli.vendors import VENDORS, for_vendor
from publitrac_async.cli.vendors.marketo import MARKETO
from publitrac_async.cli.worker import WorkerOptions, run_worker
from publitrac_async.config import CALLS_PER_SECOND
from publitrac_async.errors import PublitracError
from publitrac_async.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PUBLITRAC"})
@click.version_option(__version__, prog_name="publitrac-async")
def commands() -> None:
    """PUBLITRAC from the command line."""


@commands.command(help=SYNC_HELP, short_help="Send a file of leads to PUBLITRAC.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=options.PATH)
@options.via
@click.option(
    "--executor",
    type=click.Choice(["local", "docket"]),
    default="local",
    show_default=True,
    help="docket: processes that run `worker` send the rows.",
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="Send to an emulated PUBLITRAC inside this command, and read back from it. Nothing leaves this "
    "machine, and the credentials in the environment are not read.",
)
@options.of_vendors
@options.redis
@options.memory
@click.option("--mapping", type=options.FILE, help="TOML file that maps columns to fields.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing: show the first rows as they would be sent, and every problem.",
)
@click.option(
    "--suggest-mapping",
    is_flag=True,
    help="Send nothing: print a mapping file for SOURCE.",
)
@click.option(
    "--format",
    type=click.Choice(list(FORMATS)),
    help="Format of SOURCE, instead of its suffix; required for -.",
)
@click.option(
    "--encoding",
    help="Encoding of a text file without a byte order mark, such as cp1252; by default utf-8.",
)
@click.option(
    "--delimiter", help="Delimiter of a text file, such as ';' or tab; by default that of the header."
)
@click.option("--sheet", help="Sheet of a workbook; by default the first visible one.")
@click.option(
    "--header",
    type=click.IntRange(min=1),
    help="Number of the header line; by default the first line with text.",
)
@click.option("--strict", is_flag=True, help="Reject rows with cells that look damaged, instead of warning.")
@click.option(
    "--min-rows",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Refuse a source with fewer rows.",
)
@click.option("--allow-empty", is_flag=True, help="Accept a source without rows.")
@click.option("--limit", type=click.IntRange(min=1), help="Read only this many rows.")
@options.results
@click.option("--verify", is_flag=True, help="Read leads back through v1 and compare. --sandbox always does.")
@click.option(
    "--verify-rate",
    type=options.read_rate,
    metavar="RATE",
    default=options.rate_text(VERIFY_RATE),
    show_default=True,
    help="Calls per second (10), or calls in seconds (1/2), for reading back.",
)
@click.option(
    "--verify-timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to poll for missing leads after all were sent.",
)
@options.rate
@options.max_errors
@click.option(
    "--wait", is_flag=True, help="Wait while another process uses the state store, instead of exit status 4."
)
@click.option(
    "--list",
    "list_name",
    metavar="NAME",
    help="With v1 and v2: add the leads to this static list afterwards, through v1; created if missing.",
)
@options.quiet
@options.report_as_json
@options.client
@needs("verify_rate", "verify")
@needs("verify_timeout", "verify", "sandbox", "list_name")
@excludes("allow_empty", "min_rows")
@excludes("sandbox", "redis", "profile")
@excludes("dry_run", "reset", "suggest_mapping")
@excludes("suggest_mapping", "reset", "mapping")
def sync(**chosen: Any) -> None:
    """Send a file of leads to PUBLITRAC."""
    dry_run = chosen.pop("dry_run")
    suggest = chosen.pop("suggest_mapping")
    options = SyncOptions(**for_vendor(chosen))
    if suggest:
        suggest_mapping(options.open_source())
        return
    if dry_run:
        sys.exit(show_dry_run(options))
    with log_outputs(quiet=options.quiet, log_file=options.log_file):
        run(run_sync(options))


@commands.command(help=WORKER_HELP, short_help="Send rows of runs that other processes start.")
@options.via
@options.of_vendors
@options.redis
@click.option("--state", default=STATE, show_default=True, help="Name of the state store of the runs.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Calls in flight per chunk; a hundred workers need no more than 4 each. Default: "
    + ", ".join(f"{vendor.concurrency} ({name})" for name, vendor in VENDORS.items())
    + ".",
)
@click.option(
    "--chunks",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Chunks at a time: the next is read while the last calls of one are in flight.",
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME=MODULE:FUNCTION",
    help="Function that opens the source with this name (NamedSource); can be repeated.",
)
@options.rate
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    help="TCP port for health probes: GET /live and GET /ready return 200 or 503; 0 for a free port.",
)
@click.option(
    "--health-host",
    default="127.0.0.1",
    show_default=True,
    help="Address of that port; 0.0.0.0 for probes from outside a container.",
)
@options.logs
@click.option(
    "--opentelemetry",
    is_flag=True,
    help="Send spans and metrics to the providers that `opentelemetry-instrument` sets up.",
)
@options.client
@needs("health_host", "health_port")
def worker(**chosen: Any) -> None:
    """Send rows of runs that other processes start."""
    options = WorkerOptions(**for_vendor(chosen))
    as_json = options.log_format == "json"
    with log_lines(level=options.log_level, as_json=as_json):
        try:
            run(run_worker(options))
        except Exception as error:
            ending = ending_of(error)
            if ending is None or not as_json:
                raise
            message, status = ending
            logging.getLogger("publitrac_async.worker").error(message)  # noqa: TRY400  (frames may hold secrets)
            sys.exit(status)


@commands.command(help=STATUS_HELP, short_help="Show runs on several hosts, and their failed rows.")
@click.argument("state", required=False)
@options.via
@options.of_accounts
@options.redis
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Refresh at this interval, until Ctrl-C.",
)
@click.option(
    "--failed",
    metavar="FILE",
    help="Write the failed rows of the run to FILE as CSV, - for stdout: line, status, code, reason.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object; with --watch, one per line.")
@excludes("failed", "watch", "as_json")
def status(**chosen: Any) -> None:
    """Show runs on several hosts, and their failed rows."""
    run(run_status(StatusOptions(**for_vendor(chosen))))


@commands.command("reconcile")
@click.argument("state")
@click.argument("keys", nargs=-1)
@click.option("--arrived/--send-again", default=None, help="Outcome of the rows with these KEYS.")
@click.option(
    "--via",
    type=click.Choice(options.NAMES),
    help="STATE is the name of a state store in Redis, for runs to this destination.",
)
@options.of_accounts
@options.redis
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines.")
@needs("redis", "via")
@excludes("as_json", "keys")
def reconcile_rows(**chosen: Any) -> None:
    """Reconcile rows with an unknown outcome, after checking the service.

    Without KEYS, list these rows, each with its key (the e-mail address); the exit status is 3 if there are
    any. With KEYS, pass --arrived if the service has the rows, or --send-again if the next run shall send
    them.

    STATE is a file. With --via it is the name of a state store in Redis. That one holds hashes instead of
    keys, so the result files of the run list the rows; KEYS are their e-mail addresses nevertheless.
    """
    run(run_reconcile(ReconcileOptions(**for_vendor(chosen))))


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port; a free one by default.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Host name to accept, needed for a --host that other machines can reach; can be repeated.",
)
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    default=CALLS_PER_SECOND,
    show_default=True,
    help="Calls per second to allow.",
)
@click.option(
    "--database", type=options.PATH, help="File for the leads; by default they are lost when it ends."
)
def sandbox(**chosen: Any) -> None:
    """Run an emulated PUBLITRAC on this machine until Ctrl-C, with a web page to inspect it."""
    run(sandbox_server.serve(**chosen))


@commands.command(help=EXPORT_HELP, short_help="Write leads to a file.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@options.selection
@click.option(
    "--fields", help="Fields to write, such as email,lastName,carColor; by default all fields with a value."
)
@click.option(
    "--format",
    type=click.Choice(["csv", "jsonl", "xlsx"]),
    help="Format of FILE; by default that of its suffix, and jsonl for -.",
)
@click.option(
    "--page",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="First page of 100 leads, to continue after an interruption.",
)
@click.option("--skip-unreadable", is_flag=True, help="Skip pages that cannot be read.")
@options.client
def export(**chosen: Any) -> None:
    """Write leads to a file."""
    run(run_export(ExportOptions(**chosen)))


@commands.command("copy-to-marketo", help=COPY_HELP, short_help="Copy leads to Marketo.")
@options.selection
@click.option(
    "--mapping",
    type=options.FILE,
    help="TOML file that maps fields to those of Marketo; by default the fields that both have.",
)
@options.together(*map(options.own, MARKETO.options))
@options.memory
@options.results
@options.redis
@click.option(
    "--rate",
    type=options.read_rate,
    metavar="RATE",
    default=options.rate_text(MARKETO.rate),
    show_default=True,
    help="Calls to Marketo, such as 50/20 for 50 in 20 seconds; must be the same in all processes that share "
    "a Redis.",
)
@options.max_errors
@options.quiet
@options.report_as_json
@options.client
def copy_to_marketo(**chosen: Any) -> None:
    """Copy leads to Marketo."""
    options = CopyOptions(**for_vendor(chosen | {"via": MARKETO.name}))
    with log_outputs(quiet=options.quiet, log_file=options.log_file):
        run(run_copy(options))


@commands.command()
def version() -> None:
    """Show the version of this package."""
    click.echo(__version__)


for _command in account.COMMANDS:
    commands.add_command(_command)


def cli() -> None:
    """Run the command line; print expected errors without a traceback."""
    try:
        commands(prog_name="publitrac-async")
    except BrokenPipeError:
        # The reader of the output has closed the pipe; Python would report that again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitStatus.ABORTED)
    except (CommandError, PublitracError) as error:
        ending = ending_of(error)
        assert ending is not None
        fail(*ending)
