"""The state store of one process: an SQLite file."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import Entry, UnknownRow
from publitrac_async.bulk.state.database import Database, Statement, damaged

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS main.facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS main.leads (
    key TEXT PRIMARY KEY,     -- business key: the e-mail address in lower case
    state TEXT NOT NULL CHECK
        (state IN ('pending', 'sending', 'ok', 'accepted', 'rejected', 'retry', 'unknown')),
    content_hash TEXT,        -- of the content last sent, or planned; in hexadecimal, to be passed as JSON
    acked_hash TEXT,          -- of the content that the service acknowledged last
    attempts INTEGER NOT NULL DEFAULT 0,
    kind TEXT,                -- name of the error class
    code TEXT,                -- error code of the service
    error TEXT,               -- description, without personal data
    changed_at TEXT           -- UTC
) WITHOUT ROWID
"""
_STATES: Final = frozenset(State)
_LOOKUP: Final = (
    "SELECT leads.key, state, kind, error, code, content_hash, acked_hash FROM json_each(?) AS wanted"
    " JOIN main.leads ON leads.key = wanted.value"
)
#: After a call with an unknown outcome the content at the service is unknown, so no row counts as unchanged.
_PLAN: Final = (
    "INSERT INTO main.leads (key, state, content_hash)"
    " SELECT key, 'pending', value FROM json_each(?) WHERE true"
    " ON CONFLICT (key) DO UPDATE SET state = 'pending', content_hash = excluded.content_hash,"
    " kind = NULL, code = NULL, error = NULL,"
    " acked_hash = CASE state WHEN 'unknown' THEN NULL ELSE acked_hash END"
)
_BEGIN: Final = (
    "UPDATE main.leads SET state = 'sending', attempts = attempts + 1, kind = NULL, code = NULL,"
    " error = NULL, changed_at = ? WHERE key IN (SELECT value FROM json_each(?))"
)
_COMPLETE: Final = (
    "UPDATE main.leads SET state = ?, kind = ?, code = ?, error = ?, changed_at = ?, acked_hash ="
    " CASE WHEN ? THEN content_hash ELSE acked_hash END WHERE key IN (SELECT value FROM json_each(?))"
)


class SqliteStateStore:
    """A state store in a file, for one process at a time. It can be opened again after it was closed.

    Level of durability: disk (``synchronous=FULL``); memory without a path. See `StateStore`.

    Args:
        path: path of the SQLite file, created if missing; not on a network drive. ``None``: a temporary file
            that is deleted after the run.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._path = None if path is None else Path(path)
        self._open: Database | None = None

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:  # noqa: ARG002  (no other process continues the run)
        """Open the file for this process exclusively; see `StateStore.open`."""
        if self._open is not None:
            raise StateStoreError("this state store is open already: close it first")
        self._open = Database(self._path)
        try:
            await self._database.open(_TABLES)
            if reset:
                await self._database.write(("DELETE FROM leads", [()]), ("DELETE FROM facts", [()]))
            if destination is not None:
                await self._belong_to(destination)
            await self._database.write(("UPDATE leads SET state = 'unknown' WHERE state = 'sending'", [()]))
        except BaseException:
            await self.aclose()
            raise

    @property
    def _database(self) -> Database:
        if self._open is None:
            raise StateStoreError("this state store is not open")
        return self._open

    async def _belong_to(self, destination: str) -> None:
        known = (await self._facts()).get("destination", destination)
        if known != destination:
            raise StateStoreError(
                f"the state store belongs to {known}, not to {destination}: name another one, or reset it"
            )
        await self._database.write(_fact("destination", destination))

    async def note_source(self, name: str, source_hash: str | None) -> bool | None:
        """Record the source of this run; see `StateStore.note_source`."""
        known = (await self._facts()).get("source_hash")
        await self._database.write(_fact("source", name), _fact("source_hash", source_hash or ""))
        return known != source_hash if known and source_hash else None

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the entries of leads; see `StateStore.lookup`."""
        rows = await self._database.read(_LOOKUP, (json.dumps(keys),))
        found = {key: _entry(values) for key, *values in rows}
        return [found.get(key) for key in keys]

    async def plan(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Record the leads to be sent; see `StateStore.plan`."""
        # One statement takes half the time of one for each lead.
        planned = json.dumps({key: content_hash.hex() for key, content_hash in leads})
        await self._database.write((_PLAN, [(planned,)]))

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:
        """Record that a call is about to start; see `StateWriter.begin`."""
        return self._database.post(_begins, keys)

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:
        """Record the outcomes of a call; see `StateWriter.complete`."""
        return self._database.post(_completions, leads)

    async def unknown_rows(self) -> list[UnknownRow]:
        """Return the leads with an unknown outcome."""
        rows = await self._database.read(
            "SELECT key, error, changed_at FROM main.leads WHERE state = 'unknown' ORDER BY changed_at, key"
        )
        return [UnknownRow(key, reason, since) for key, reason, since in rows]

    async def aclose(self) -> None:
        """Write pending changes and close the file."""
        database, self._open = self._open, None
        if database is not None:
            await database.aclose()

    async def _facts(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in await self._database.read("SELECT * FROM facts")}


def _entry(values: Sequence[Any]) -> Entry:
    state, kind, error, code, content_hash, acked_hash = values
    if state not in _STATES:
        raise damaged("unknown state")
    return Entry(Outcome(State(state), kind, error, code), _hash(content_hash), _hash(acked_hash))


def _hash(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except (TypeError, ValueError):
        raise damaged("unknown hash") from None


def _begins(calls: list[Sequence[str]]) -> Iterable[Statement]:
    keys = [key for call in calls for key in call]
    yield _BEGIN, [(_now(), json.dumps(keys))]


def _completions(calls: list[Sequence[tuple[str, Outcome]]]) -> Iterable[Statement]:
    by_outcome: dict[Outcome, list[str]] = {}
    for call in calls:
        for key, outcome in call:
            by_outcome.setdefault(outcome, []).append(key)
    now = _now()
    for each, keys in by_outcome.items():
        acked = each.state in (State.OK, State.ACCEPTED)
        yield (
            _COMPLETE,
            [(str(each.state), each.kind, each.code, each.reason, now, acked, json.dumps(keys))],
        )


def _fact(name: str, value: Any) -> Statement:
    return "INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, value)]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="seconds")
