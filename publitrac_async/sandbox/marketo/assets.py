"""Assets with leads: static lists, programs, smart campaigns; also forms, partitions, mail tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from publitrac_async.sandbox.database import Database

KINDS: Final = ("list", "program", "campaign", "form", "partition", "mktToken")
_TABLES: Final = ("marketo_assets", "marketo_memberships")


class AssetStore:
    """Assets by kind and key, and the leads in them."""

    def __init__(self, database: Database) -> None:
        """Create the tables if the database has none."""
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_assets "
            "(kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, key))"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_memberships "
            "(number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, "
            "lead INTEGER NOT NULL, document TEXT NOT NULL, UNIQUE (kind, key, lead))"
        )
        database.execute(
            "CREATE INDEX IF NOT EXISTS marketo_memberships_lead ON marketo_memberships (lead, kind)"
        )

    def add(self, kind: str, key: int | str, document: Mapping[str, Any]) -> None:
        """Add an asset, or replace it."""
        self._database.execute(
            "INSERT OR REPLACE INTO marketo_assets VALUES (?, ?, ?)",
            [kind, str(key), json.dumps(document, ensure_ascii=False)],
        )

    def get(self, kind: str, key: int | str) -> dict[str, Any] | None:
        """Return an asset, None if it does not exist."""
        row = self._database.execute(
            "SELECT document FROM marketo_assets WHERE kind = ? AND key = ?", [kind, str(key)]
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return keys and documents of all assets of a kind, oldest first."""
        rows = self._database.execute(
            "SELECT key, document FROM marketo_assets WHERE kind = ? ORDER BY rowid", [kind]
        )
        return [(key, json.loads(document)) for key, document in rows]

    def named(self, kind: str, name: str) -> tuple[str, dict[str, Any]] | None:
        """Return key and document of the asset with a name."""
        return next((asset for asset in self.all(kind) if asset[1].get("name") == name), None)

    def add_member(self, kind: str, key: int | str, lead: int, document: Mapping[str, Any]) -> None:
        """Add a lead to an asset; an existing membership remains unchanged."""
        self._database.execute(
            "INSERT OR IGNORE INTO marketo_memberships (kind, key, lead, document) VALUES (?, ?, ?, ?)",
            [kind, str(key), lead, json.dumps(document, ensure_ascii=False)],
        )

    def members(self, kind: str, key: int | str) -> list[tuple[int, dict[str, Any]]]:
        """Return the leads in an asset with their memberships, oldest first."""
        rows = self._database.execute(
            "SELECT lead, document FROM marketo_memberships WHERE kind = ? AND key = ? ORDER BY number",
            [kind, str(key)],
        )
        return [(lead, json.loads(document)) for lead, document in rows]

    def memberships(self, kind: str, lead: int) -> list[tuple[int, dict[str, Any]]]:
        """Return keys and documents of the assets of a lead, oldest first."""
        rows = self._database.execute(
            "SELECT key, document FROM marketo_memberships WHERE kind = ? AND lead = ? ORDER BY number",
            [kind, lead],
        )
        return [(int(key), json.loads(document)) for key, document in rows]

    def merge(self, winner: int, loser: int) -> None:
        """Move the memberships of one lead to another."""
        self._database.execute(
            "UPDATE OR IGNORE marketo_memberships SET lead = ? WHERE lead = ?", [winner, loser]
        )
        self.remove_lead(loser)

    def remove_member(self, kind: str, key: int | str, lead: int) -> None:
        """Remove a lead from an asset."""
        self._database.execute(
            "DELETE FROM marketo_memberships WHERE kind = ? AND key = ? AND lead = ?", [kind, str(key), lead]
        )

    def remove_lead(self, lead: int) -> None:
        """Remove a lead from all assets."""
        self._database.execute("DELETE FROM marketo_memberships WHERE lead = ?", [lead])

    def clear(self) -> None:
        """Delete all assets and memberships."""
        for table in _TABLES:
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - constant names
