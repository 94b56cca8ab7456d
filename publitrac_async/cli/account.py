"""Commands about the records and settings of an account."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from publitrac_async.cli import doctor as doctor_report
from publitrac_async.cli import lists as list_commands
from publitrac_async.cli import lookup, options, records
from publitrac_async.cli.ending import run
from publitrac_async.cli.probe import ProbeOptions, run_probe
from publitrac_async.cli.rules import needs
from publitrac_async.cli.texts import PROBE_HELP


@click.command()
@click.argument("email")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@options.client
def get(email: str, as_json: bool) -> None:
    """Show the lead with the address EMAIL, read through v1."""
    run(lookup.show_lead(email, as_json=as_json))


@click.group()
def lists() -> None:
    """Add leads to a static list, or remove a lead from it."""


@lists.command()
@click.argument("name", metavar="LIST")
@click.argument("emails", metavar="EMAIL...", nargs=-1)
@click.option("--file", type=options.FILE, help="Read the addresses from the column email of a file.")
@options.client
def add(name: str, emails: tuple[str, ...], file: Path | None) -> None:
    """Add the leads with the addresses EMAIL to LIST, which is created if missing.

    Addresses without a lead are reported by their position. The exit status is then 3, and all other leads
    are on the list.
    """
    run(list_commands.add_to_list(name, emails, file))


@lists.command()
@click.argument("name", metavar="LIST")
@click.argument("email")
@options.client
def remove(name: str, email: str) -> None:
    """Remove the lead with the address EMAIL from LIST."""
    run(list_commands.remove_from_list(name, email))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line, with every field.")
@options.client
def campaigns(as_json: bool) -> None:
    """Show the follow-up campaigns, read through v1."""
    run(records.show_campaigns(as_json=as_json))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line, with every field.")
@options.client
def opportunities(as_json: bool) -> None:
    """Show the opportunities, read through v1."""
    run(records.show_opportunities(as_json=as_json))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@click.option(
    "--online",
    is_flag=True,
    help="Test the credentials with two calls: one of v1, which only reads, and a token request of v2.",
)
@options.client
def doctor(as_json: bool, online: bool) -> None:
    """Show versions, limits and configuration, without secrets.

    The exit status is 2 if a setting is unusable, and 1 if a call with --online fails.
    """
    run(doctor_report.show(as_json=as_json, online=online))


@click.command("probe", help=PROBE_HELP, short_help="Settle the open points of the documents.")
@click.option(
    "--output",
    type=options.PATH,
    default="publitrac-profile.toml",
    show_default=True,
    help="File for the profile; pass it to other commands as --profile.",
)
@click.option("--write", metavar="EMAIL", help="Also create, change and delete a lead with this address.")
@click.option("--yes", is_flag=True, help="Do not ask before --write.")
@click.option(
    "--wrong-credentials",
    is_flag=True,
    help="Also call v1 once with a wrong password and v2 once with a wrong key.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object for each point.")
@options.client
@needs("yes", "write")
def probe(**chosen: Any) -> None:
    """Settle the open points of the documents."""
    run(run_probe(ProbeOptions(**chosen), click.confirm))


COMMANDS: Final[tuple[click.Command, ...]] = (get, lists, campaigns, opportunities, doctor, probe)
"""The commands of this module."""
