"""E-commerce transactions of leads (PUBLITRAC API reference, E-Commerce Transactions)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database


class TransactionStore:
    """Reads and writes transactions; one with a known id replaces the previous one."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the table if the database has none."""
        self._database = database
        self._clock = clock
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_transactions (id TEXT PRIMARY KEY, "
            "lead_id INTEGER NOT NULL REFERENCES publitrac_leads ON DELETE CASCADE, "
            "document TEXT NOT NULL, at TEXT NOT NULL)"
        )
        database.execute(
            "CREATE INDEX IF NOT EXISTS publitrac_transactions_lead ON publitrac_transactions (lead_id)"
        )

    def put(self, lead_id: int, document: Mapping[str, Any]) -> None:
        """Store a transaction of a lead under the transaction's own id."""
        self._database.execute(
            "INSERT INTO publitrac_transactions (id, lead_id, document, at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET "
            "lead_id = excluded.lead_id, document = excluded.document, at = excluded.at",
            [document["id"], lead_id, json.dumps(document, ensure_ascii=False), self._clock.text()],
        )

    def all(self) -> list[dict[str, Any]]:
        """Return every transaction without the account token, oldest first."""
        rows = self._database.execute("SELECT document, at FROM publitrac_transactions ORDER BY rowid")
        return [
            {name: value for name, value in json.loads(document).items() if name != "token"} | {"at": at}
            for document, at in rows
        ]

    def clear(self) -> None:
        """Remove every transaction."""
        self._database.execute("DELETE FROM publitrac_transactions")
