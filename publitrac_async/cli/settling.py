"""`settle`: what became of rows whose outcome is unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from attrs import field, frozen

from publitrac_async.bulk import Ledger, settle, unsettled
from publitrac_async.cli import hosts
from publitrac_async.cli.console import say
from publitrac_async.cli.exits import CommandError, Exit


@frozen(kw_only=True)
class SettleOptions:
    """The options of `settle`, as its help describes them."""

    ledger: str
    keys: Sequence[str]
    arrived: bool | None
    via: Literal["v1", "v2", "vitec", "marketo"] | None
    customer: str | None
    redis: str | None = field(repr=False)
    as_json: bool

    def open_ledger(self) -> str | Ledger:
        """Path of the file, or the ledger that hosts share."""
        if self.via is None:
            return self.ledger
        return hosts.shared_ledger(self.ledger, via=self.via, customer=self.customer, redis=self.redis)


async def run_settle(options: SettleOptions) -> int:
    """Show the rows that wait to be settled, or settle some.

    Raises:
        CommandError: keys without a verdict, or the other way round.
        LedgerError: there is no such ledger, it is in use, or a key is not waiting.
    """
    if (options.arrived is None) == bool(options.keys):
        raise CommandError("name the rows by their keys, and say --arrived or --send-again")
    if options.arrived is not None:
        count = await settle(options.open_ledger(), options.keys, arrived=options.arrived)
        say(f"{count:,} settled: {'done' if options.arrived else 'the next run sends them again'}.")
        return Exit.FINE
    waiting = await unsettled(options.open_ledger())
    for each in waiting:
        if options.as_json:
            row = {"key": each.key, "since": each.since, "reason": each.reason}
            say(json.dumps(row, ensure_ascii=False))
        else:
            say(f"{each.key}  {each.since} UTC  {each.reason or 'the run was killed during the call'}")
    if not options.as_json:
        say(f"{len(waiting):,} wait to be settled.")
    return Exit.REJECTED if waiting else Exit.FINE
