"""`reconcile`: set the outcome of rows whose outcome is unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack

from attrs import field, frozen

from publitrac_async import bulk
from publitrac_async.bulk import ExitStatus, StateStore, reconcile, unknown_rows
from publitrac_async.cli import hosts
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.vendors import VENDORS
from publitrac_async.cli.vendors.base import OwnOptions


@frozen(kw_only=True)
class ReconcileOptions:
    """Options of `reconcile`; its help describes them."""

    state: str
    keys: Sequence[str]
    arrived: bool | None
    via: str | None
    own: OwnOptions
    redis: str | None = field(repr=False)
    as_json: bool

    async def open_state(self, stack: AsyncExitStack) -> str | StateStore:
        """Return the path of a file, or a shared state store."""
        if self.via is None:
            return self.state
        shared = hosts.needed_redis(self.via, redis=self.redis, own=self.own)
        await stack.enter_async_context(shared)
        return bulk.RedisStateStore(shared, self.state, durable=VENDORS[self.via].appends)


async def run_reconcile(options: ReconcileOptions) -> int:
    """List rows with an unknown outcome, or reconcile some.

    Returns:
        The exit status: 3 if rows were listed.

    Raises:
        CommandError: keys were given without an outcome, or an outcome without keys.
        StateStoreError: the state store does not exist, is in use, or a key has no unknown outcome.
    """
    if (options.arrived is None) == bool(options.keys):
        raise CommandError("name the rows by their keys, and pass --arrived or --send-again")
    async with AsyncExitStack() as stack:
        state = await options.open_state(stack)
        if options.arrived is not None:
            count = await reconcile(state, options.keys, arrived=options.arrived)
            result = "done" if options.arrived else "the next run sends them again"
            to_stdout(f"{count:,} reconciled: {result}.")
            return ExitStatus.OK
        unknown = await unknown_rows(state)
    for each in unknown:
        if options.as_json:
            row = {"key": each.key, "since": each.since, "reason": each.reason}
            to_stdout(json.dumps(row, ensure_ascii=False))
        else:
            reason = each.reason or "the process was killed during the call"
            to_stdout(f"{each.key}  {each.since} UTC  {reason}")
    if not options.as_json:
        to_stdout(f"{len(unknown):,} rows with an unknown outcome.")
    return ExitStatus.REJECTED if unknown else ExitStatus.OK
