"""The state store: its interface and its guarantee.

`BatchJournal` in `bulk/journal.py` keeps the order that the guarantee requires. `bulk/sending.py` calls it
for sinks that make one call for a batch; those with `send_in_parts` call it themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from publitrac_async.bulk.rows import Outcome


@frozen
class Entry:
    """Entry of one lead in a state store.

    Attributes:
        outcome: outcome of the last call, or the current state.
        content_hash: hash of the content last sent, or planned.
        acked_hash: hash of the content that the service acknowledged last, ``None`` if unknown.
    """

    outcome: Outcome
    content_hash: bytes | None
    acked_hash: bytes | None


@frozen
class UnknownRow:
    """A row whose outcome is unknown: the call may have been applied.

    Attributes:
        key: business key, usually the e-mail address; in a shared state store a keyed hash of it.
        reason: description of the error, ``None`` if the process was killed during the call.
        since: time of the call, UTC.
    """

    key: str
    reason: str | None
    since: str


class StateWriter(Protocol):
    """The part of a state store that records calls; see `StateStore` for its guarantee."""

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Record that a call with these leads is about to start.

        Returns:
            A future: true if the call may start, false if another process stopped the run.
        """
        ...

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Record the outcomes of a call.

        `State.OK` and `State.ACCEPTED` make the content hash of the plan the acknowledged one; other outcomes
        leave that as it is.
        """
        ...


class StateStore(StateWriter, Protocol):
    """An entry for each business key, kept from run to run.

    `plan` records a lead as `State.PENDING`, `begin` marks it `State.SENDING` before its call, and `complete`
    records its outcome after the call. If the process is killed in between, the lead becomes
    `State.UNKNOWN`.

    **The guarantee.** No call starts before its `begin` is durable, and a task starts its next call only
    after the `complete` of its last one is durable. So after a kill no more rows are unknown than were in
    flight. A begin or complete is durable when its future is done, and it is written whether or not a
    caller awaits the future. (If a `plan` is lost, the next run plans again.) Each implementation names
    its level of durability:

    ========  =============================================  ==========================
    level     a change survives                              implementation
    ========  =============================================  ==========================
    memory    nothing: it is lost with the run               ``SqliteStateStore(None)``
    server    a kill of every process of the run             ``RedisStateStore(shared, durable=False)``
    disk      also a crash of the server or the machine      ``SqliteStateStore(path)``, `RedisStateStore`
    ========  =============================================  ==========================

    All methods raise `StateStoreError` if they cannot keep the guarantee.
    """

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:
        """Open the state store for one run exclusively.

        Args:
            destination: destination of the leads; a state store belongs to one. ``None``: nothing is sent.
            run: fingerprint of the run. If workers continue a run whose first process was killed, a run with
                the same fingerprint joins it. Implementations without workers ignore it.
            reset: delete all entries first.

        Raises:
            StateStoreError: the state store is in use, belongs to another destination, or is unusable.
        """
        ...

    async def note_source(self, name: str, source_hash: str | None) -> bool | None:
        """Record the source of this run.

        Returns:
            True if the source has changed since the last run, ``None`` if unknown.
        """
        ...

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads, in the order of `keys`."""
        ...

    async def plan(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Record the leads to be sent: key and content hash of each.

        An acknowledged hash stays, except after an unknown outcome: the content at the service is then
        unknown, and so is the hash.
        """
        ...

    async def unknown_rows(self) -> list[UnknownRow]:
        """Return the leads with an unknown outcome."""
        ...

    async def aclose(self) -> None:
        """Write pending changes and close the state store."""
        ...
