"""Activities of leads, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.database import Database

FORM, NEW_LEAD, CHANGE, DELETED, PUSH = 2, 12, 13, 37, 145
#: Marketo's numbers, except for Push Lead, whose number is undocumented: look up types by name.
TYPES: Final = {
    FORM: "Fill Out Form",
    NEW_LEAD: "New Lead",
    CHANGE: "Change Data Value",
    DELETED: "Delete Lead",
    PUSH: "Push Lead to Marketo",
}
_NUMBERS: Final = {name: number for number, name in TYPES.items()}
_NO_VALUES: Final = frozenset({"id", "updatedAt", "createdAt", "partitionName"})


@frozen
class Activity:
    """One activity of a lead."""

    id: int
    lead: int
    type: int
    moment: str
    document: Mapping[str, Any]


class History:
    """The activities of all leads; those of deleted leads remain."""

    def __init__(self, database: Database) -> None:
        """Create the table if the database has none."""
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_history "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, lead INTEGER NOT NULL, type INTEGER NOT NULL, "
            "moment TEXT NOT NULL, document TEXT NOT NULL)"
        )

    def add(self, lead: int, kind: int | str, moment: str, document: Mapping[str, Any]) -> None:
        """Record an activity.

        Args:
            lead: id of the lead.
            kind: number or name of the type.
            moment: time, in the form of responses.
            document: further values.
        """
        self._database.execute(
            "INSERT INTO marketo_history (lead, type, moment, document) VALUES (?, ?, ?, ?)",
            [lead, _NUMBERS.get(kind, 0) if isinstance(kind, str) else kind, moment, json.dumps(document)],
        )

    def add_changes(self, lead: int, moment: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Record every value that differs."""
        for name in new.keys() - _NO_VALUES:
            if old.get(name) != new[name]:
                change = {"name": name, "newValue": new[name], "oldValue": old.get(name)}
                self.add(lead, CHANGE, moment, change)

    def since(self, position: int | str, types: Sequence[int], leads: Sequence[int]) -> Iterator[Activity]:
        """Yield activities of some types after a number, or since a time.

        Args:
            position: the number, or the time in the form of responses.
            types: numbers of types.
            leads: leads of the activities; all leads if empty.
        """
        after = "id > ?" if isinstance(position, int) else "moment >= ?"
        marks = ", ".join("?" * len(types))
        of = f" AND lead IN ({', '.join('?' * len(leads))})" if leads else ""
        rows = self._database.execute(
            f"SELECT id, lead, type, moment, document FROM marketo_history "  # noqa: S608 - question marks
            f"WHERE {after} AND type IN ({marks}){of} ORDER BY id",
            [position, *types, *leads],
        ).fetchall()
        for number, lead, kind, moment, document in rows:
            yield Activity(number, lead, kind, moment, json.loads(document))

    def clear(self) -> None:
        """Delete all activities."""
        self._database.execute("DELETE FROM marketo_history")
