"""What is to be done with each row, by the other rows of the run and by what the ledger knows."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from publitrac_async.bulk.ledger import Entry, Ledger, Outcome
from publitrac_async.bulk.rows import State
from publitrac_async.bulk.spool import Spool

_UNCHANGED: Final = Outcome(State.SKIPPED, reason="unchanged since the service took it")
MAYBE_SENT: Final = Outcome(
    State.UNKNOWN,
    "OutcomeUnknown",
    "an earlier run may have sent it: look it up before you send it by hand",
)


@frozen(kw_only=True)
class Again:
    """What a run does with rows that an earlier run with the same ledger has dealt with.

    Attributes:
        full: send rows again that have not changed.
        retry_rejected: send rows again that were rejected and have not changed.
        reset: forget everything the ledger knows, also which rows may have been sent.
    """

    full: bool = False
    retry_rejected: bool = False
    reset: bool = False


async def plan(spool: Spool, ledger: Ledger, again: Again, *, repeatable: bool) -> None:
    """Decide about every row, and enter those that are to be sent into the ledger.

    Args:
        spool: holds the rows.
        ledger: knows what earlier runs did.
        again: what to do with rows it knows.
        repeatable: rows whose earlier outcome is unknown may be sent again.

    Raises:
        LedgerError: the ledger failed.
    """
    await spool.supersede()
    async for rows in spool.planned():
        entries = await ledger.recall([key for _, key, _ in rows])
        decided: list[tuple[int, Outcome]] = []
        to_send: list[tuple[str, bytes]] = []
        for (number, key, payload), entry in zip(rows, entries, strict=True):
            outcome = None if entry is None else _decide(entry, payload, again, repeatable=repeatable)
            if outcome is None:
                to_send.append((key, payload))
            else:
                decided.append((number, outcome))
        if decided:
            await spool.note(decided)
        if to_send:
            await ledger.enter(to_send)


def _decide(entry: Entry, payload: bytes, again: Again, *, repeatable: bool) -> Outcome | None:
    """How a row ends without a call, ``None`` if it is to be sent."""
    state = entry.outcome.state
    if state is State.UNKNOWN:
        return None if repeatable else MAYBE_SENT
    if entry.acknowledged == payload and not again.full:
        return _UNCHANGED
    if state is State.REJECTED and entry.payload == payload and not (again.full or again.retry_rejected):
        return Outcome(State.REJECTED, "rejected earlier", entry.outcome.reason, entry.outcome.code)
    return None
