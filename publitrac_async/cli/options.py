"""Options of several commands. Only this module and `commands` import click."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import click

from publitrac_async.cli.clients import ClientSettings, choose
from publitrac_async.cli.logs import FORMATS, LEVELS
from publitrac_async.cli.rules import needs
from publitrac_async.cli.vendors import VENDORS
from publitrac_async.cli.vendors.base import VendorOption
from publitrac_async.config import Rate, parse_rate
from publitrac_async.errors import ConfigurationError
from publitrac_async.transport.trace import Trace

Decorator: TypeAlias = Callable[[Any], Any]

#: Values of ``--via``, the default first.
NAMES = tuple(VENDORS)


PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def rate_text(rate: Rate) -> str:
    """Return a rate as `read_rate` reads it."""
    return str(rate.calls) if rate.per == 1 else f"{rate.calls}/{rate.per:g}"


def read_rate(text: str) -> Rate:
    """Read the value of an option: ``35`` a second, or ``50/20``.

    Raises:
        click.BadParameter: the text is not a rate.
    """
    try:
        return parse_rate(text, "a rate")
    except ConfigurationError as error:
        raise click.BadParameter(error.message) from None


def together(*options: Decorator) -> Decorator:
    """Return one decorator for several options."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def client(command: Any) -> Any:
    """Add the options for clients to a command, whose function does not receive them."""

    @functools.wraps(command)
    def run(*args: Any, profile: Path | None, trace: Path | None, trace_messages: bool, **others: Any) -> Any:
        with ExitStack() as stack:
            opened = None
            if trace is not None:
                opened = stack.enter_context(Trace(trace, messages=trace_messages))
            choose(ClientSettings(trace=opened, profile=profile))
            return command(*args, **others)

    return _OF_CLIENTS(needs("trace_messages", "trace")(run))


_OF_CLIENTS: Decorator = together(
    click.option(
        "--profile",
        type=FILE,
        envvar="PUBLITRAC_PROFILE",
        help="Settings of the account that `probe` found; the environment and other options override them.",
    ),
    click.option(
        "--trace",
        type=PATH,
        metavar="FILE",
        help="Append every exchange to FILE for a bug report, with credentials and personal data masked.",
    ),
    click.option("--trace-messages", is_flag=True, help="Do not mask the service's messages in FILE."),
)
selection: Decorator = together(
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
memory: Decorator = together(
    click.option("--state", type=PATH, help="File of the state store; created if missing."),
    click.option("--resend-unchanged", is_flag=True, help="Send unchanged rows again."),
    click.option("--resend-rejected", is_flag=True, help="Send unchanged rows again that were rejected."),
    click.option("--reset", is_flag=True, help="Delete all entries of the state store first."),
)
results: Decorator = click.option(
    "--results",
    type=PATH,
    help="Folder for results. Each run creates a folder in it, with files of the done, rejected and "
    "unprocessed rows, a summary and a report; the link latest points to the last one. By default "
    "STATE.results, or without a state store SOURCE.results.",
)
quiet: Decorator = together(
    click.option("--quiet", is_flag=True, help="Write nothing if the exit status is 0."),
    click.option(
        "--log-file", type=PATH, help="Append progress, warnings and report to this file, with times."
    ),
)
max_errors: Decorator = click.option(
    "--max-errors",
    type=click.FloatRange(min=0, max=100),
    default=50.0,
    show_default=True,
    help="Percentage of rows that may fail before the run stops; 100 failures are always allowed.",
)
report_as_json: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON lines: progress, then the report."
)


def own(option: VendorOption, only_with: str | None = None) -> Decorator:
    """Return the option of a vendor; `only_with` is the vendor's name in a command for several."""
    text = (
        option.help[0].upper() + option.help[1:] if only_with is None else f"With {only_with}: {option.help}"
    )
    type_ = click.Choice(option.choices) if option.choices else click.STRING
    return click.option(option.flag, type=type_, metavar=option.metavar, help=text)


via: Decorator = click.option(
    "--via",
    type=click.Choice(NAMES),
    default=NAMES[0],
    show_default=True,
    help=", ".join(f"{name} {vendor.help}" for name, vendor in VENDORS.items()) + ".",
)
#: The options of single vendors, and those of them that identify an account.
of_vendors: Decorator = together(
    *(own(option, name) for name, vendor in VENDORS.items() for option in vendor.options)
)
of_accounts: Decorator = together(
    *(own(option, name) for name, vendor in VENDORS.items() for option in vendor.options if option.of_account)
)
redis: Decorator = click.option(
    "--redis",
    metavar="URL",
    help="Redis or Valkey that the account's processes share. Prefer PUBLITRAC_REDIS_URL: the URL may hold "
    "a password, and other users of this machine can see command lines.",
)
rate: Decorator = click.option(
    "--rate",
    type=read_rate,
    metavar="RATE",
    help="Calls per second (35), or in several seconds (50/20); must be the same in all processes that share "
    "a Redis. Default: "
    + ", ".join(f"{rate_text(vendor.rate)} ({name})" for name, vendor in VENDORS.items())
    + ". The sandbox's PUBLITRAC enforces the same limit.",
)
logs: Decorator = together(
    click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default=FORMATS[0],
        show_default=True,
        help="Lines on stderr: text, or JSON with host, run and chunk.",
    ),
    click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="warning",
        show_default=True,
        help="Lowest level to write; info has two lines per chunk.",
    ),
)
