"""What is known of every lead, run after run: intent before a call, outcome after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from publitrac_async.bulk.rows import State


@frozen(cache_hash=True)
class Outcome:
    """How the sending of a row ended.

    Attributes:
        state: what the ledger will say.
        kind: name of the error class, ``None`` for success.
        reason: what is wrong, in words without personal data.
        code: the service's code.
    """

    state: State
    kind: str | None = None
    reason: str | None = None
    code: str | None = None


@frozen
class Entry:
    """What a ledger knows of a lead.

    Attributes:
        outcome: of the last call, or where it stands.
        payload: digest of what was sent last, or is to be sent.
        acknowledged: digest of what the service took last, ``None`` if it took nothing or nobody knows.
    """

    outcome: Outcome
    payload: bytes | None
    acknowledged: bytes | None


@frozen
class Unsettled:
    """A row that may have been applied.

    Attributes:
        key: the business key, usually the e-mail address; ledgers that several hosts share show a hash.
        reason: why nobody knows, ``None`` if the run was killed during the call.
        since: when that was, UTC.
    """

    key: str
    reason: str | None
    since: str


class Journal(Protocol):
    """Where calls are written down, before and after.

    What a method was given is durable when the future it returned is done. It is written down even if nobody
    waits for it. The future fails with `LedgerError` if that cannot be achieved.
    """

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Note that a call with these leads is about to begin.

        Returns:
            Whether the call may begin; if not, the run was stopped from elsewhere.
        """
        ...

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Note how a call ended."""
        ...


class Ledger(Journal, Protocol):
    """The durable part of a run: an entry for each business key.

    A lead is entered as `State.PENDING` when it is clear that it will be sent, written down as
    `State.SENDING` before its call begins, and with its outcome when the call has ended. What a killed run
    left as `State.SENDING` may or may not have been applied: it is `State.UNKNOWN` from then on.

    What a method was given is durable when it returns. All raise `LedgerError` if that cannot be achieved.
    """

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:
        """Open the ledger for one run alone.

        Args:
            destination: what the leads are sent to; a ledger is for one destination. ``None`` sends nothing.
            run: stands for source, mapping and settings of the run. Where workers elsewhere go on when the
                process that began a run is gone, beginning the same one again joins it.
            reset: forget everything.

        Raises:
            LedgerError: it is in use, belongs to another destination, or cannot be used.
        """
        ...

    async def note_source(self, name: str, fingerprint: str | None) -> bool | None:
        """Note which source this run reads.

        Returns:
            Whether it is another one than the last run's, ``None`` if that cannot be told.
        """
        ...

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads, in the order of `keys`."""
        ...

    async def enter(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Note that leads will be sent: key, and digest of what will be sent."""
        ...

    async def unsettled(self) -> list[Unsettled]:
        """The leads with an unknown outcome."""
        ...

    async def aclose(self) -> None:
        """Close the ledger; what was noted is written first."""
        ...
