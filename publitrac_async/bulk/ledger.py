"""What is known of every lead, run after run: intent before a call, outcome after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from attrs import frozen

from publitrac_async.bulk.database import Database, Statement
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.rows import State

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS main.facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.leads (
    key TEXT PRIMARY KEY,     -- of the business: the e-mail address in lower case
    state TEXT NOT NULL CHECK
        (state IN ('pending', 'sending', 'ok', 'accepted', 'rejected', 'retry', 'unknown')),
    payload BLOB,             -- digest of what was sent last
    acknowledged BLOB,        -- digest of what the service took last
    attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT,                -- of the service, when it refused
    error TEXT,               -- why, in words without personal data
    changed_at TEXT           -- UTC
) WITHOUT ROWID
"""


@frozen
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


class Ledger:
    """The durable part of a run: one row for each business key.

    A lead is written down as `State.SENDING` before its call begins, and with its outcome when the call has
    ended. What a killed run left as `State.SENDING` may or may not have been applied: it is `State.UNKNOWN`
    from then on.

    Args:
        path: of the SQLite file, created if there is none. Not on a network drive. Without it, nothing is
            remembered when the run ends.
        destination: what the leads are sent to; a ledger is for one destination. ``None`` sends nothing.
    """

    def __init__(self, path: Path | None, *, destination: str | None) -> None:
        self.path = path
        self.database: Database = Database(path)
        self._destination = destination

    async def open(self, tables: str, *, reset: bool = False) -> Self:
        """Open the ledger for this process alone.

        Args:
            tables: further tables, of the temporary kind.
            reset: forget everything.

        Raises:
            LedgerError: it cannot be used.
        """
        try:
            await self.database.open(f"{_TABLES}; {tables}")
            if reset:
                await self.database.write(("DELETE FROM leads", [()]), ("DELETE FROM facts", [()]))
            if self._destination is not None:
                await self._belong_to(self._destination)
            await self.database.write(("UPDATE leads SET state = 'unknown' WHERE state = 'sending'", [()]))
        except BaseException:
            await self.database.aclose()
            raise
        return self

    async def _belong_to(self, destination: str) -> None:
        known = (await self._facts()).get("destination", destination)
        if known != destination:
            raise LedgerError(
                f"the ledger belongs to {known}, not to {destination}: name another file, or reset it"
            )
        await self.database.write(_fact("destination", destination))

    async def aclose(self) -> None:
        """Close the ledger; everything posted is written first."""
        await self.database.aclose()

    async def note_source(self, name: str, fingerprint: str | None) -> bool | None:
        """Note which source this run reads.

        Returns:
            Whether it is another one than the last run's, ``None`` if that cannot be told.
        """
        known = (await self._facts()).get("fingerprint")
        await self.database.write(_fact("source", name), _fact("fingerprint", fingerprint or ""))
        return known != fingerprint if known and fingerprint else None

    async def counts(self) -> Mapping[State, int]:
        """How many leads are in each state."""
        rows = await self.database.read("SELECT state, count(*) FROM leads GROUP BY state")
        return {State(state): count for state, count in rows}

    async def _facts(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in await self.database.read("SELECT * FROM facts")}


def intent(leads: Sequence[tuple[str, bytes]]) -> Statement:
    """The statement to be committed before a call.

    Args:
        leads: key, and digest of what will be sent.
    """
    sql = (
        "UPDATE leads SET state = 'sending', payload = ?, attempts = attempts + 1, code = NULL, error = NULL,"
        " changed_at = ? WHERE key = ?"
    )
    now = _now()
    return sql, [(payload, now, key) for key, payload in leads]


def settlement(leads: Sequence[tuple[str, Outcome]]) -> Statement:
    """The statement to be committed when a call has ended."""
    sql = (
        "UPDATE leads SET state = ?, code = ?, error = ?, changed_at = ?, acknowledged ="
        " CASE WHEN ? IN ('ok', 'accepted') THEN payload ELSE acknowledged END WHERE key = ?"
    )
    now = _now()
    return sql, [(str(each.state), each.code, each.reason, now, str(each.state), key) for key, each in leads]


def _fact(name: str, value: Any) -> Statement:
    return "INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, value)]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="seconds")
