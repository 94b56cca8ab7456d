"""The history of leads: visits, clicks and submitted forms; and the existing forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database


class HistoryStore:
    """Reads and writes the history of leads. The service's clock dates each entry: calls carry no time."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the tables if the database has none."""
        self._database = database
        self._clock = clock
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_history (id INTEGER PRIMARY KEY, "
            "lead_id INTEGER NOT NULL REFERENCES publitrac_leads ON DELETE CASCADE, "
            "type TEXT NOT NULL, fields TEXT NOT NULL, at TEXT NOT NULL)"
        )
        database.execute("CREATE INDEX IF NOT EXISTS publitrac_history_lead ON publitrac_history (lead_id)")
        database.execute("CREATE TABLE IF NOT EXISTS publitrac_forms (name TEXT PRIMARY KEY)")

    def add(self, lead_id: int, entry_type: str, fields: Mapping[str, str]) -> None:
        """Append an entry to a lead's history."""
        self._database.execute(
            "INSERT INTO publitrac_history (lead_id, type, fields, at) VALUES (?, ?, ?, ?)",
            [lead_id, entry_type, json.dumps(dict(fields), ensure_ascii=False), self._clock.text()],
        )

    def move(self, source: int, target: int) -> None:
        """Move the whole history of one lead to another."""
        self._database.execute("UPDATE publitrac_history SET lead_id = ? WHERE lead_id = ?", [target, source])

    def all(self) -> list[dict[str, Any]]:
        """Return every entry with the lead's e-mail, oldest first."""
        rows = self._database.execute(
            "SELECT email, type, fields, at FROM publitrac_history AS entry "
            "JOIN publitrac_leads AS lead ON lead.id = lead_id ORDER BY entry.id"
        )
        return [
            {"email": email, "type": entry_type, "fields": json.loads(fields), "at": at}
            for email, entry_type, fields, at in rows
        ]

    def add_form(self, name: str) -> None:
        """Add a form."""
        self._database.execute("INSERT OR IGNORE INTO publitrac_forms (name) VALUES (?)", [name])

    def has_form(self, name: str) -> bool:
        """Return True if a form exists."""
        found = self._database.execute("SELECT 1 FROM publitrac_forms WHERE name = ?", [name]).fetchone()
        return found is not None

    def forms(self) -> list[str]:
        """Return the names of the forms."""
        return [name for (name,) in self._database.execute("SELECT name FROM publitrac_forms ORDER BY rowid")]

    def clear(self) -> None:
        """Remove history and forms."""
        self._database.execute("DELETE FROM publitrac_history")
        self._database.execute("DELETE FROM publitrac_forms")
