"""Plan: decide which rows need a call; so a killed run resumes.

The state store has marked the rows of calls that were in flight as unknown when it was opened.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.staging import Staging
from publitrac_async.bulk.state.base import Entry, StateStore
from publitrac_async.bulk.state.memory import NullStateStore

_UNCHANGED: Final = Outcome(State.SKIPPED, reason="unchanged since the service acknowledged it")
MAYBE_SENT: Final = Outcome(
    State.UNKNOWN,
    "OutcomeUnknown",
    "an earlier run may have sent it: look it up at the service, then reconcile it",
)


@frozen(kw_only=True)
class Resend:
    """Rows to send although the state store has an outcome for them.

    Attributes:
        unchanged: send rows that the service acknowledged and that have not changed.
        rejected: send rows that were rejected and have not changed.
    """

    unchanged: bool = False
    rejected: bool = False


async def plan(staging: Staging, store: StateStore, resend: Resend, *, idempotent: bool) -> None:
    """Decide which rows need a call, and record them in the state store.

    Args:
        staging: rows of the run.
        store: outcomes of earlier runs.
        resend: rows to send although they have an outcome.
        idempotent: true if rows with an unknown outcome may be sent again.

    Raises:
        StateStoreError: the state store failed.
    """
    await staging.skip_superseded()
    if isinstance(store, NullStateStore):
        return
    async for rows in staging.pending_keys():
        entries = await store.lookup([key for _, key, _ in rows])
        decided: list[tuple[int, Outcome]] = []
        to_send: list[tuple[str, bytes]] = []
        for (number, key, content_hash), entry in zip(rows, entries, strict=True):
            outcome = None if entry is None else _decide(entry, content_hash, resend, idempotent=idempotent)
            if outcome is None:
                to_send.append((key, content_hash))
            else:
                decided.append((number, outcome))
        staging.set_outcomes(decided)
        if to_send:
            await store.plan(to_send)


def _decide(entry: Entry, content_hash: bytes, resend: Resend, *, idempotent: bool) -> Outcome | None:
    """Return the outcome of a row that needs no call, ``None`` if it is to be sent."""
    state = entry.outcome.state
    if state is State.UNKNOWN:
        return None if idempotent else MAYBE_SENT
    if entry.acked_hash == content_hash and not resend.unchanged:
        return _UNCHANGED
    resend_rejected = resend.unchanged or resend.rejected
    if state is State.REJECTED and entry.content_hash == content_hash and not resend_rejected:
        return Outcome(State.REJECTED, "rejected earlier", entry.outcome.reason, entry.outcome.code)
    return None
