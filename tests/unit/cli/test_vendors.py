"""The table of vendors: options, help texts and checks are made from it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import click
import pytest
from attrs import evolve

from publitrac_async.bulk import sync_leads
from publitrac_async.cli import vendors
from publitrac_async.cli.commands import commands
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.texts import SYNC_HELP
from publitrac_async.cli.vendors import SERVICES, VENDORS, for_vendor
from publitrac_async.cli.vendors.base import SinkOptions

OWN = [(vendor, option) for vendor in VENDORS.values() for option in vendor.options]


def flags(name: str) -> set[str]:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    return {flag for parameter in command.params for flag in parameter.opts}


@pytest.mark.parametrize("name", ["sync", "worker"])
def test_commands_that_send_rows_have_the_options_of_every_vendor(name: str) -> None:
    assert {option.flag for _, option in OWN} <= flags(name)


@pytest.mark.parametrize("name", ["status", "reconcile"])
def test_commands_without_rows_have_the_options_that_are_part_of_an_account(name: str) -> None:
    found = flags(name)
    assert {option.flag for _, option in OWN if option.flag in found} == {
        option.flag for _, option in OWN if option.of_account
    }


@pytest.mark.parametrize(("vendor", "option"), OWN, ids=[option.name for _, option in OWN])
def test_an_option_of_another_vendor_is_refused(vendor: Any, option: Any) -> None:
    given = {"via": vendor.name, "rate": None, option.name: "x"}
    assert for_vendor(given) == {"via": vendor.name, "rate": vendor.rate, "own": {option.name: "x"}}
    for other in VENDORS:
        if other != vendor.name:
            with pytest.raises(CommandError, match=f"^{option.flag} needs --via {vendor.name}$"):
                for_vendor(given | {"via": other})


def test_options_have_different_names() -> None:
    assert len({option.name for _, option in OWN}) == len(OWN)


def test_the_help_names_the_credentials_of_every_service() -> None:
    for service in SERVICES:
        assert any(f"{service.prefix}_{name.upper()}" in SYNC_HELP for name in service.secrets)


@pytest.mark.parametrize("name", VENDORS)
async def test_a_row_reaches_the_sandbox_through_the_entry_of_every_vendor(name: str) -> None:
    vendor = VENDORS[name]
    options = SinkOptions(via=name, rate=vendor.rate, own={}, redis=None, sandbox=True, verify_timeout=10)
    row = {"email": "ada@example.com", "firstName": "Ada", "lastName": "Ek"}
    async with AsyncExitStack() as stack:
        sink, _ = await vendors.open_sink(stack, options, [], None)
        report = await sync_leads([row], sink)

    assert (report.ok + report.accepted, report.rows, report.sink) == (1, 1, name)
    assert (sink.name, sink.batch_size > 1, sink.idempotent) == (name, vendor.batches, not vendor.appends)
    shown = vendor.to_record(options)(row)  # By the dry run.
    assert shown.key == sink.to_record(row).key
    assert "Ada" in str(vendor.fields_of(shown.content))


async def test_a_vendor_that_the_sandbox_does_not_emulate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = evolve(VENDORS["v2"], name="stranger", sandbox_settings=None)
    monkeypatch.setattr(vendors, "VENDORS", {"stranger": stranger})
    options = SinkOptions(via="stranger", rate=1, own={}, redis=None, sandbox=True)
    async with AsyncExitStack() as stack:
        with pytest.raises(CommandError, match="the sandbox does not emulate PUBLITRAC"):
            await vendors.open_sink(stack, options, [], None)
