"""`settle`: what became of rows whose outcome is unknown."""

from __future__ import annotations

import json
from pathlib import Path

from publitrac_async.bulk import settle, unsettled
from publitrac_async.cli.console import say
from publitrac_async.cli.exits import CommandError, Exit


async def run_settle(ledger: Path, keys: tuple[str, ...], *, arrived: bool | None, as_json: bool) -> int:
    """Show the rows that wait to be settled, or settle some.

    Raises:
        CommandError: keys without a verdict, or the other way round.
        LedgerError: there is no such ledger, it is in use, or a key is not waiting.
    """
    if (arrived is None) == bool(keys):
        raise CommandError("name the rows by their keys, and say --arrived or --send-again")
    if arrived is not None:
        count = await settle(ledger, keys, arrived=arrived)
        say(f"{count:,} settled: {'done' if arrived else 'the next run sends them again'}.")
        return Exit.FINE
    waiting = await unsettled(ledger)
    for each in waiting:
        if as_json:
            row = {"key": each.key, "since": each.since, "reason": each.reason}
            say(json.dumps(row, ensure_ascii=False))
        else:
            say(f"{each.key}  {each.since} UTC  {each.reason or 'the run was killed during the call'}")
    if not as_json:
        say(f"{len(waiting):,} wait to be settled.")
    return Exit.REJECTED if waiting else Exit.FINE
