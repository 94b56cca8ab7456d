"""Lists of leads: static lists, and filtered lists, which the API calls views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import astuple, frozen

from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.publitrac.search import Condition, where


@frozen
class LeadList:
    """A list: static, or filtered by conditions."""

    id: int
    name: str
    conditions: tuple[Condition, ...] | None
    """None for a static list."""

    @property
    def filtered(self) -> bool:
        """True if conditions select the leads of the list."""
        return self.conditions is not None

    def where(self) -> tuple[str, list[Any]]:
        """Return the SQL condition that selects the leads of the list, and its parameters."""
        if self.conditions is not None:
            return where(self.conditions)
        return "id IN (SELECT lead_id FROM publitrac_list_members WHERE list_id = ?)", [self.id]


class ListStore:
    """Reads and writes lists. Static and filtered lists share their names."""

    def __init__(self, database: Database) -> None:
        """Create the tables if the database has none."""
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_lists "
            "(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, conditions TEXT)"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_list_members ("
            "list_id INTEGER NOT NULL REFERENCES publitrac_lists ON DELETE CASCADE, "
            "lead_id INTEGER NOT NULL REFERENCES publitrac_leads ON DELETE CASCADE, "
            "PRIMARY KEY (list_id, lead_id)) WITHOUT ROWID"
        )
        database.execute(
            "CREATE INDEX IF NOT EXISTS publitrac_list_members_lead ON publitrac_list_members (lead_id)"
        )

    def find(self, name: str) -> LeadList | None:
        """Return the list with a name."""
        row = self._database.execute(
            "SELECT id, name, conditions FROM publitrac_lists WHERE name = ?", [name]
        ).fetchone()
        return _list(row) if row else None

    def create(self, name: str, conditions: Sequence[Condition] | None = None) -> LeadList:
        """Store a new list: static without conditions, filtered with them."""
        dumped = None if conditions is None else json.dumps([astuple(condition) for condition in conditions])
        cursor = self._database.execute(
            "INSERT INTO publitrac_lists (name, conditions) VALUES (?, ?)", [name, dumped]
        )
        assert cursor.lastrowid is not None
        return LeadList(cursor.lastrowid, name, None if conditions is None else tuple(conditions))

    def add(self, target: LeadList, lead_id: int) -> None:
        """Add a lead to a static list, unless it is on it."""
        self._database.execute(
            "INSERT OR IGNORE INTO publitrac_list_members (list_id, lead_id) VALUES (?, ?)",
            [target.id, lead_id],
        )

    def remove(self, target: LeadList, lead_id: int) -> None:
        """Remove a lead from a static list."""
        self._database.execute(
            "DELETE FROM publitrac_list_members WHERE list_id = ? AND lead_id = ?", [target.id, lead_id]
        )

    def all(self) -> list[LeadList]:
        """Return every list, oldest first."""
        rows = self._database.execute("SELECT id, name, conditions FROM publitrac_lists ORDER BY id")
        return [_list(row) for row in rows]

    def clear(self) -> None:
        """Remove every list."""
        self._database.execute("DELETE FROM publitrac_lists")


def _list(row: Sequence[Any]) -> LeadList:
    list_id, name, dumped = row
    conditions = None if dumped is None else tuple(Condition(*condition) for condition in json.loads(dumped))
    return LeadList(list_id, name, conditions)
