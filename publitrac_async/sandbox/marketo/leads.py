"""Stored leads, their cookies and activities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.marketo.history import DELETED, NEW_LEAD, History

Lead = dict[str, Any]

DEFAULT_PARTITION: Final = "Default"
_TABLES: Final = ("marketo_leads", "marketo_cookies", "marketo_activities")


class LeadStore:
    """Leads as documents by REST names, with `id`, `createdAt`, `updatedAt` and `partitionName`."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the tables if the database has none."""
        self._database = database
        self._clock = clock
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_leads "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT COLLATE NOCASE, changed INTEGER NOT NULL, "
            "document TEXT NOT NULL)"
        )
        for column in ("email", "changed"):
            database.execute(f"CREATE INDEX IF NOT EXISTS marketo_leads_{column} ON marketo_leads ({column})")
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_cookies (cookie TEXT PRIMARY KEY, lead INTEGER NOT NULL)"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_activities "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, lead INTEGER NOT NULL, document TEXT NOT NULL)"
        )

        self.history: History = History(database)

    def now(self) -> str:
        """Return the time in the form of responses."""
        return self._clock.text().replace(" ", "T") + "Z"

    def insert(self, values: Mapping[str, Any], *, partition: str = DEFAULT_PARTITION) -> int:
        """Add a lead and return its id; `id`, `createdAt` and `updatedAt` may be given."""
        moment = self.now()
        document = {"createdAt": moment, "updatedAt": moment, "partitionName": partition, **values}
        number = document.pop("id", None)
        cursor = self._database.execute(
            "INSERT INTO marketo_leads (id, email, changed, document) "
            "VALUES (?, ?, (SELECT coalesce(max(changed), 0) + 1 FROM marketo_leads), ?)",
            [number, document.get("email"), json.dumps(document, ensure_ascii=False)],
        )
        assert cursor.lastrowid is not None
        self.history.add(cursor.lastrowid, NEW_LEAD, moment, {"Source Type": "Web service API"})
        return cursor.lastrowid

    def update(self, number: int, values: Mapping[str, Any]) -> None:
        """Change a lead that exists."""
        before = self.get(number)
        assert before is not None
        document = before | {**values, "updatedAt": self.now()}
        del document["id"]
        self.history.add_changes(number, document["updatedAt"], before, values)
        self._database.execute(
            "UPDATE marketo_leads SET email = ?, document = ?, "
            "changed = (SELECT max(changed) + 1 FROM marketo_leads) WHERE id = ?",
            [document.get("email"), json.dumps(document, ensure_ascii=False), number],
        )

    def get(self, number: int) -> Lead | None:
        """Return a lead, None if it does not exist."""
        row = self._database.execute("SELECT document FROM marketo_leads WHERE id = ?", [number]).fetchone()
        return None if row is None else {"id": number, **json.loads(row[0])}

    def all(self) -> list[Lead]:
        """Return every lead, oldest first."""
        rows = self._database.execute("SELECT id, document FROM marketo_leads ORDER BY id")
        return [{"id": number, **json.loads(document)} for number, document in rows]

    def find(self, name: str, values: Iterable[str], *, partition: str | None = None) -> list[Lead]:
        """Return the leads whose field has one of these values, regardless of case, oldest first."""
        wanted = {value.casefold() for value in values}
        if name == "email":
            marks = ", ".join("?" * len(wanted))
            rows = self._database.execute(
                f"SELECT id, document FROM marketo_leads WHERE email IN ({marks}) ORDER BY id",  # noqa: S608 - question marks
                list(wanted),
            )
            found = [{"id": number, **json.loads(document)} for number, document in rows]
        elif name == "id":
            numbers = sorted({int(value) for value in wanted if value.isdecimal()})
            found = [lead for number in numbers if (lead := self.get(number)) is not None]
        elif name == "cookies":
            owners = sorted({owner for value in values if (owner := self.cookie_owner(value)) is not None})
            found = [lead for owner in owners if (lead := self.get(owner)) is not None]
        else:
            found = [lead for lead in self.all() if str(lead.get(name, "")).casefold() in wanted]
        return [lead for lead in found if partition in (None, lead["partitionName"])]

    def last_changed(self, leads: Iterable[Lead]) -> Lead:
        """Return the one of several leads that was changed last."""

        def change(lead: Lead) -> int:
            row = self._database.execute("SELECT changed FROM marketo_leads WHERE id = ?", [lead["id"]])
            number: int = row.fetchone()[0]
            return number

        return max(leads, key=change)

    def delete(self, number: int) -> None:
        """Remove a lead with its cookies and activities."""
        self.history.add(number, DELETED, self.now(), {})
        self._database.execute("DELETE FROM marketo_leads WHERE id = ?", [number])
        self._database.execute("DELETE FROM marketo_cookies WHERE lead = ?", [number])
        self._database.execute("DELETE FROM marketo_activities WHERE lead = ?", [number])

    def merge(self, winner: int, loser: int) -> None:
        """Merge the loser into the winner: missing values, cookies, activities. Remove the loser."""
        lead, other = self.get(winner), self.get(loser)
        assert lead is not None
        assert other is not None
        gained = {name: value for name, value in other.items() if lead.get(name) in (None, "")}
        self.update(winner, gained)
        self._database.execute("UPDATE marketo_cookies SET lead = ? WHERE lead = ?", [winner, loser])
        self._database.execute("UPDATE marketo_activities SET lead = ? WHERE lead = ?", [winner, loser])
        self.delete(loser)

    def cookie_owner(self, cookie: str) -> int | None:
        """Return the lead associated with a visitor."""
        row = self._database.execute("SELECT lead FROM marketo_cookies WHERE cookie = ?", [cookie]).fetchone()
        return None if row is None else int(row[0])

    def associate(self, number: int, cookie: str) -> None:
        """Associate a visitor with a lead."""
        self._database.execute("INSERT OR REPLACE INTO marketo_cookies VALUES (?, ?)", [cookie, number])

    def add_activity(self, number: int, document: Mapping[str, Any]) -> None:
        """Write an activity."""
        self._database.execute(
            "INSERT INTO marketo_activities (lead, document) VALUES (?, ?)",
            [number, json.dumps(document, ensure_ascii=False)],
        )
        values = {name: value for name, value in document.items() if name != "type"}
        self.history.add(number, document["type"], self.now(), values)

    def activities(self) -> list[dict[str, Any]]:
        """Return every activity, oldest first."""
        rows = self._database.execute("SELECT lead, document FROM marketo_activities ORDER BY id")
        return [{"leadId": lead, **json.loads(document)} for lead, document in rows]

    def clear(self) -> None:
        """Delete all leads, cookies and activities."""
        for table in _TABLES:
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - constant names
        self.history.clear()
