"""The ledger of one process: an SQLite file."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from publitrac_async.bulk.database import Database, Statement
from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.ledger import Entry, Outcome, Unsettled
from publitrac_async.bulk.rows import State

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS main.facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.leads (
    key TEXT PRIMARY KEY,     -- of the business: the e-mail address in lower case
    state TEXT NOT NULL CHECK
        (state IN ('pending', 'sending', 'ok', 'accepted', 'rejected', 'retry', 'unknown')),
    payload BLOB,             -- digest of what was sent last, or is to be sent
    acknowledged BLOB,        -- digest of what the service took last
    attempts INTEGER NOT NULL DEFAULT 0,
    kind TEXT,                -- of the error
    code TEXT,                -- of the service, when it refused
    error TEXT,               -- why, in words without personal data
    changed_at TEXT           -- UTC
) WITHOUT ROWID
"""
_RECALL: Final = (
    "SELECT leads.key, state, kind, error, code, payload, acknowledged FROM json_each(?) AS wanted"
    " JOIN main.leads ON leads.key = wanted.value"
)
#: What the service has after a call with an unknown outcome nobody knows, so that no payload can be called
#: unchanged.
_ENTER: Final = (
    "INSERT INTO main.leads (key, state, payload) VALUES (?, 'pending', ?) ON CONFLICT (key) DO UPDATE SET"
    " state = 'pending', payload = excluded.payload, kind = NULL, code = NULL, error = NULL,"
    " acknowledged = CASE state WHEN 'unknown' THEN NULL ELSE acknowledged END"
)
_INTEND: Final = (
    "UPDATE main.leads SET state = 'sending', attempts = attempts + 1, kind = NULL, code = NULL,"
    " error = NULL, changed_at = ? WHERE key IN (SELECT value FROM json_each(?))"
)
_SETTLE: Final = (
    "UPDATE main.leads SET state = ?, kind = ?, code = ?, error = ?, changed_at = ?, acknowledged ="
    " CASE WHEN ? THEN payload ELSE acknowledged END WHERE key IN (SELECT value FROM json_each(?))"
)


class FileLedger:
    """A ledger in a file, for one process at a time.

    Args:
        path: of the SQLite file, created if there is none. Not on a network drive. Without it, nothing is
            remembered when the run ends.
        tables: further tables for the same connection, of the temporary kind.
    """

    def __init__(self, path: Path | None, tables: str = "") -> None:
        self.database: Database = Database(path)
        self._tables = tables

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:  # noqa: ARG002  (nobody else goes on with a run)
        """Open the file for this process alone."""
        try:
            await self.database.open(f"{_TABLES}; {self._tables}")
            if reset:
                await self.database.write(("DELETE FROM leads", [()]), ("DELETE FROM facts", [()]))
            if destination is not None:
                await self._belong_to(destination)
            await self.database.write(("UPDATE leads SET state = 'unknown' WHERE state = 'sending'", [()]))
        except BaseException:
            await self.database.aclose()
            raise

    async def _belong_to(self, destination: str) -> None:
        known = (await self._facts()).get("destination", destination)
        if known != destination:
            raise LedgerError(
                f"the ledger belongs to {known}, not to {destination}: name another file, or reset it"
            )
        await self.database.write(_fact("destination", destination))

    async def note_source(self, name: str, fingerprint: str | None) -> bool | None:
        """Note which source this run reads."""
        known = (await self._facts()).get("fingerprint")
        await self.database.write(_fact("source", name), _fact("fingerprint", fingerprint or ""))
        return known != fingerprint if known and fingerprint else None

    async def recall(self, keys: Sequence[str]) -> list[Entry | None]:
        """What is known of leads."""
        found = {
            key: Entry(Outcome(State(state), kind, error, code), payload, acknowledged)
            for key, state, kind, error, code, payload, acknowledged in await self.database.read(
                _RECALL, (json.dumps(keys),)
            )
        }
        return [found.get(key) for key in keys]

    async def enter(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Note that leads will be sent."""
        await self.database.write((_ENTER, leads))

    def intend(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Note that a call is about to begin."""
        return self.database.post(_intents, keys)

    def settle(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Note how a call ended."""
        return self.database.post(_settlements, leads)

    async def unsettled(self) -> list[Unsettled]:
        """The leads with an unknown outcome."""
        rows = await self.database.read(
            "SELECT key, error, changed_at FROM main.leads WHERE state = 'unknown' ORDER BY changed_at, key"
        )
        return [Unsettled(key, reason, since) for key, reason, since in rows]

    async def aclose(self) -> None:
        """Close the file; what was noted is written first."""
        await self.database.aclose()

    async def _facts(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in await self.database.read("SELECT * FROM facts")}


def _intents(calls: list[Sequence[str]]) -> Iterable[Statement]:
    keys = [key for call in calls for key in call]
    yield _INTEND, [(_now(), json.dumps(keys))]


def _settlements(calls: list[Sequence[tuple[str, Outcome]]]) -> Iterable[Statement]:
    by_outcome: dict[Outcome, list[str]] = {}
    for call in calls:
        for key, outcome in call:
            by_outcome.setdefault(outcome, []).append(key)
    now = _now()
    for each, keys in by_outcome.items():
        taken = each.state in (State.OK, State.ACCEPTED)
        yield (
            _SETTLE,
            [(str(each.state), each.kind, each.code, each.reason, now, taken, json.dumps(keys))],
        )


def _fact(name: str, value: Any) -> Statement:
    return "INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, value)]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="seconds")
