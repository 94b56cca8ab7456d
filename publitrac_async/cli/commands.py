"""The commands and their options. The only importer of click."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from publitrac_async.bulk import BulkError
from publitrac_async.cli import doctor as doctor_report
from publitrac_async.cli import lists as list_commands
from publitrac_async.cli import lookup, records, sandbox_server
from publitrac_async.cli.copying import CopyOptions, run_copy
from publitrac_async.cli.dry_run import show_dry_run
from publitrac_async.cli.exits import CommandError, Exit
from publitrac_async.cli.export import ExportOptions, run_export
from publitrac_async.cli.settling import run_settle
from publitrac_async.cli.sync import SyncOptions, run_sync
from publitrac_async.config import CALLS_PER_SECOND, MARKETO_CALLS, VITEC_CALLS_PER_SECOND
from publitrac_async.errors import ConfigurationError, PublitracError
from publitrac_async.version import __version__

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

SYNC_HELP = """Bring the leads of SOURCE (.csv, .tsv, .jsonl, .xlsx, .parquet) to PUBLITRAC, and account for
every row.

Credentials come from the environment, never from the command line: PUBLITRAC_API_KEY, and for v1
PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD; each also as ..._FILE with the path of a file. PUBLITRAC_BASE_URL
names another environment. For vitec they are VITEC_USERNAME and VITEC_PASSWORD; VITEC_BASE_URL can name the
test host. For marketo they are MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET.

With --ledger, a run that was interrupted or killed is taken up by the same command, and rows that have not
changed are not sent again. Every call to vitec makes another lead, so rows that may have arrived are not sent
again either: look them up, then use `settle`.

Ctrl-C lets the calls in flight end; a second one cancels them.

\b
Exit status:
  0    every row is through; with --sandbox also if rows were rejected: nothing of yours is lost
  1    the run stopped early, rows are left to be sent, or what was read back is not what was sent
  2    it could not begin: options, configuration, input or ledger
  3    it went to its end, and some rows were rejected or have an unknown outcome
  130  interrupted
"""

EXPORT_HELP = """Write leads to FILE (.csv, .jsonl, .xlsx), or to standard output if it is -.

They are read through v1: without --where, --view or --list all leads of the account. With several --where
all have to hold.

Cells that a spreadsheet would run as a formula get a quote in front, and `sync` takes it away again; phone
numbers and negative numbers stay as they are. A CSV file or workbook has a column for every field that
occurs.

What was read before an error or Ctrl-C is kept in FILE with .part in its name, and the page to go on with is
said.

\b
Exit status:
  0    all leads are there
  1    a page could not be read, or the file not be written
  2    it could not begin: options, configuration or file
  3    cells are empty because a workbook cannot hold their text
  130  interrupted
"""

COPY_HELP = """Copy leads from PUBLITRAC to Marketo, and account for every one.

They are read through v1: without --where, --view or --list all leads of the account. With several --where
all have to hold. Fields that are empty in PUBLITRAC stay as they are in Marketo.

Credentials come from the environment, never from the command line: PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and
PUBLITRAC_PASSWORD, and MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET; each also as ..._FILE
with the path of a file.

With --ledger, a run that was interrupted or killed is taken up by the same command, and leads that have not
changed are not sent again. All leads are read before the first is sent.

\b
Exit status:
  0    every lead is through
  1    the leads could not be read, or the run stopped early and some are left to be sent
  2    it could not begin: options, configuration, mapping or ledger
  3    it went to its end, and some leads were rejected or have an unknown outcome
  130  interrupted
"""


def _together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Options that several commands share, as one decorator."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_selection = _together(
    click.option(
        "--where",
        type=(str, str, str),
        multiple=True,
        metavar="FIELD OPERATOR VALUE",
        help="Condition, such as lastName like smith%; can be repeated. PUBLITRAC documents the operator "
        "like, with % for any text.",
    ),
    click.option("--view", help="Name of a filtered list."),
    click.option("--list", "list_name", help="Name of a static list."),
)
_memory = _together(
    click.option("--ledger", type=_PATH, help="File that remembers what was sent; created if there is none."),
    click.option("--full", is_flag=True, help="Send rows again that have not changed since they were sent."),
    click.option("--retry-rejected", is_flag=True, help="Send rejected rows again that have not changed."),
    click.option("--reset", is_flag=True, help="Forget what the ledger knows, then begin."),
)
_results = click.option(
    "--results",
    type=_PATH,
    help="Folder for the files of done, rejected and unprocessed rows, the summary and the report; "
    "with a ledger LEDGER.results by default.",
)
_max_errors = click.option(
    "--max-errors",
    type=click.FloatRange(min=0, max=100),
    default=50.0,
    show_default=True,
    help="Percentage of rows that may fail, from the 101st failure on, before the run stops.",
)
_report_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON lines: progress, then the report."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="publitrac-async")
def commands() -> None:
    """PUBLITRAC from the command line."""


@commands.command(help=SYNC_HELP, short_help="Bring a file of leads to PUBLITRAC.")
@click.argument("source", type=_FILE)
@click.option(
    "--via",
    type=click.Choice(["v2", "v1", "vitec", "marketo"]),
    default="v2",
    show_default=True,
    help="v2 queues leads, v1 processes them before it answers, vitec hands them to an estate agent, marketo "
    "brings them to the lead database of Marketo Engage.",
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="Send to an emulated PUBLITRAC inside this command, and read back from it. Nothing leaves "
    "this machine, and the environment's credentials are not even looked at.",
)
@click.option("--customer", help="With vitec: the customer who gets the leads, such as M30011.")
@click.option("--lead-source", help="With vitec: where the leads come from; Vitec creates unknown names.")
@_memory
@click.option("--mapping", type=_FILE, help="TOML file that says which column is which field.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing: show the first rows as they would be sent, and every problem.",
)
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a text file.")
@click.option("--delimiter", help="Between the cells of a text file, such as ';'.")
@click.option("--sheet", help="Sheet of a workbook; by default the first.")
@_results
@click.option(
    "--confirm", is_flag=True, help="Read leads back through v1 and compare. --sandbox always does."
)
@click.option(
    "--confirm-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Calls a second that reading back may take.",
)
@click.option(
    "--confirm-wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds that leads get to arrive after all were sent.",
)
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    help=f"Calls a second; {CALLS_PER_SECOND} by default, with vitec {VITEC_CALLS_PER_SECOND}; with "
    f"marketo calls in 20 seconds, {MARKETO_CALLS} by default. The sandbox's PUBLITRAC enforces the same "
    "limit.",
)
@_max_errors
@_report_as_json
def sync(**options: Any) -> None:
    """Bring a file of leads to PUBLITRAC."""
    dry_run = options.pop("dry_run")
    if options["rate"] is None:
        rates = {"vitec": VITEC_CALLS_PER_SECOND, "marketo": MARKETO_CALLS}
        options["rate"] = rates.get(options["via"], CALLS_PER_SECOND)
    chosen = SyncOptions(**options)
    if dry_run:
        sys.exit(show_dry_run(chosen))
    _run(run_sync(chosen))


@commands.command()
@click.argument("ledger", type=_FILE)
@click.argument("keys", nargs=-1)
@click.option("--arrived/--send-again", default=None, help="What is to be done with the rows of these KEYS.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines.")
def settle(ledger: Path, keys: tuple[str, ...], arrived: bool | None, as_json: bool) -> None:
    """Settle rows that may have arrived, after a look at the service.

    Without KEYS, show those that LEDGER holds, each with its key (the e-mail address); the exit status is 3
    if there are any. With KEYS, say --arrived if the service has them, or have the next run send them again.
    """
    _run(run_settle(ledger, keys, arrived=arrived, as_json=as_json))


@commands.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port; a free one by default.")
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    default=CALLS_PER_SECOND,
    show_default=True,
    help="Calls a second that it allows.",
)
@click.option("--database", type=_PATH, help="File that keeps the leads; by default they are forgotten.")
def sandbox(port: int, rate: int, database: Path | None) -> None:
    """Run an emulated PUBLITRAC on this machine until Ctrl-C."""
    _run(sandbox_server.serve(port=port, rate=rate, database=database))


@commands.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def get(email: str, as_json: bool) -> None:
    """Show the lead with the address EMAIL, read through v1."""
    _run(lookup.show_lead(email, as_json=as_json))


@commands.command(help=EXPORT_HELP, short_help="Write leads to a file.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_selection
@click.option("--fields", help="Fields to write, such as email,lastName,carColor; by default all that occur.")
@click.option(
    "--format", type=click.Choice(["csv", "jsonl", "xlsx"]), help="By default as FILE is named; for - jsonl."
)
@click.option(
    "--page",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Page of 100 leads to begin with, to go on after an interruption.",
)
def export(**options: Any) -> None:
    """Write leads to a file."""
    _run(run_export(ExportOptions(**options)))


@commands.command("copy-to-marketo", help=COPY_HELP, short_help="Copy leads to Marketo.")
@_selection
@click.option(
    "--mapping",
    type=_FILE,
    help="TOML file that says what the fields are called in Marketo; by default those that both have.",
)
@_memory
@_results
@_max_errors
@_report_as_json
def copy_to_marketo(**options: Any) -> None:
    """Copy leads to Marketo."""
    _run(run_copy(CopyOptions(**options)))


@commands.group()
def lists() -> None:
    """Put leads on a static list, or take one off."""


@lists.command()
@click.argument("name", metavar="LIST")
@click.argument("emails", metavar="EMAIL...", nargs=-1)
@click.option("--file", type=_FILE, help="Take them from the column email of a file that `sync` could read.")
def add(name: str, emails: tuple[str, ...], file: Path | None) -> None:
    """Put the leads with the addresses EMAIL on LIST, which is created if there is none.

    Those that do not exist are named by their place; the exit status is 3 then, and the others are on the
    list.
    """
    _run(list_commands.add_to_list(name, emails, file))


@lists.command()
@click.argument("name", metavar="LIST")
@click.argument("email")
def remove(name: str, email: str) -> None:
    """Take the lead with the address EMAIL off LIST."""
    _run(list_commands.remove_from_list(name, email))


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, with every field.")
def campaigns(as_json: bool) -> None:
    """Show the follow-up campaigns, read through v1."""
    _run(records.show_campaigns(as_json=as_json))


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, with every field.")
def opportunities(as_json: bool) -> None:
    """Show the opportunities, read through v1."""
    _run(records.show_opportunities(as_json=as_json))


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def doctor(as_json: bool) -> None:
    """Show versions, limits and configuration, without any secret."""
    sys.exit(doctor_report.show(as_json=as_json))


@commands.command()
def version() -> None:
    """Show the version of this package."""
    click.echo(__version__)


def cli() -> None:
    """Run the command line; errors that are foreseen end it with one line."""
    try:
        commands(prog_name="publitrac-async")
    except CommandError as error:
        _fail(str(error), error.status)
    except (ConfigurationError, BulkError) as error:
        _fail(error.message, Exit.USAGE)
    except PublitracError as error:
        _fail(f"{type(error).__name__}: {error}", Exit.ABORTED)
    except BrokenPipeError:
        # Whoever read the output has left; Python would complain once more when it flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.ABORTED)


def _run(command: Coroutine[Any, Any, int]) -> None:
    try:
        status = asyncio.run(command)
    except KeyboardInterrupt:
        # Here, since click would make it a status of 1.
        _fail("interrupted", Exit.INTERRUPTED)
    else:
        sys.exit(status)


def _fail(message: str, status: Exit) -> None:
    click.echo(f"publitrac-async: {message}", err=True)
    sys.exit(status)
