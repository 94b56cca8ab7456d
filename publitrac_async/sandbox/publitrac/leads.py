"""The leads of the account, in SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.publitrac.fields import FIELD_BY_NAME, NATIVE_FIELDS
from publitrac_async.sandbox.publitrac.search import Condition, where

_COLUMNS: Final = tuple(item.name for item in NATIVE_FIELDS if item.name != "id")
_QUOTED: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_SELECT: Final = f"SELECT id, custom_fields, {_QUOTED} FROM publitrac_leads"  # noqa: S608 - constant names


@frozen
class Lead:
    """A stored lead."""

    id: int
    values: Mapping[str, str]
    """Native fields by vendor name, `id` included."""
    custom: Mapping[str, str]

    @property
    def email(self) -> str:
        """The lead's e-mail; anonymous leads may have none."""
        return self.values["email"]

    def as_dict(self) -> dict[str, str]:
        """Return all fields in the order of the responses, custom fields last."""
        return {**self.values, **self.custom}


class LeadStore:
    """Reads and writes leads."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the table if the database has none."""
        self._database = database
        self._clock = clock
        columns = ", ".join(f"\"{name}\" TEXT NOT NULL DEFAULT ''" for name in _COLUMNS)
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_leads (id INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"email_key TEXT NOT NULL DEFAULT '', custom_fields TEXT NOT NULL DEFAULT '{{}}', {columns})"
        )
        for column in ("email_key", '"crmLeadId"', '"token"'):
            name = column.strip('"')
            database.execute(
                f"CREATE INDEX IF NOT EXISTS publitrac_leads_{name} ON publitrac_leads ({column})"
            )
        database.connection.create_function("folded", 1, _folded, deterministic=True)

    def by_email(self, email: str) -> list[Lead]:
        """Return the leads with an e-mail, oldest first."""
        return self._select("email_key = ?", [email.lower()])

    def by_value(self, name: str, value: str) -> list[Lead]:
        """Return the leads whose native field equals a value, oldest first."""
        return self._select(f'"{FIELD_BY_NAME[name].name}" = ?', [value])

    def by_values(self, values: Mapping[str, str]) -> list[Lead]:
        """Return the leads in which every native or custom field equals the given value, ignoring case."""
        condition, parameters = where([Condition(name, "=", value) for name, value in values.items()])
        if "email" in values:
            # With this condition SQLite uses the index instead of reading every lead.
            condition, parameters = f"email_key = ? AND {condition}", [values["email"].lower(), *parameters]
        return self._select(condition, parameters)

    def page(self, condition: str, parameters: Sequence[Any], *, number: int, size: int) -> list[Lead]:
        """Return one page of the leads for which an SQL condition holds, oldest first."""
        return self._select(
            f"{condition} ORDER BY id LIMIT ? OFFSET ?", [*parameters, size, (number - 1) * size]
        )

    def search(self, text: str, most: int) -> tuple[list[Lead], int]:
        """Return leads with a text in any of their fields, latest first, and their total number.

        Args:
            text: the text, regardless of case; every lead contains an empty one.
            most: the maximum number of leads to return.
        """
        everything = " || char(10) || ".join([*(f'"{name}"' for name in _COLUMNS), "custom_fields"])
        condition, parameters = f"instr(folded({everything}), ?) > 0", [text.casefold()]
        if not text:
            condition, parameters = "1", []
        found = self._select(f"{condition} ORDER BY id DESC LIMIT ?", [*parameters, most])
        return found, self.count(condition, parameters)

    def count(self, condition: str = "1", parameters: Sequence[Any] = ()) -> int:
        """Return the number of leads for which an SQL condition holds."""
        statement = f"SELECT count(*) FROM publitrac_leads WHERE {condition}"  # noqa: S608 - built by `where`
        count: int = self._database.execute(statement, parameters).fetchone()[0]
        return count

    def all(self) -> list[Lead]:
        """Return every lead, oldest first."""
        return self._select("1 ORDER BY id", [])

    def insert(self, values: Mapping[str, str], custom: Mapping[str, str], *, at: str) -> int:
        """Store a new lead.

        Args:
            values: native fields. Tests may also seed `id`, `createdDate` and `lastUpdated`.
            custom: custom fields.
            at: the time of creation.

        Returns:
            Its id.
        """
        row: dict[str, Any] = {item.name: item.default for item in NATIVE_FIELDS if item.default}
        row |= {"createdDate": at, "lastUpdated": at}
        row |= {name: value for name, value in values.items() if value or name not in row}
        row |= {"email_key": values.get("email", "").lower(), "custom_fields": _dump(custom)}
        columns = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        cursor = self._database.execute(
            f"INSERT INTO publitrac_leads ({columns}) VALUES ({marks})",  # noqa: S608 - constant names
            list(row.values()),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def update(self, lead: Lead, values: Mapping[str, str], custom: Mapping[str, str], *, at: str) -> None:
        """Change the given fields of a lead; an empty number or boolean returns to its default."""
        row: dict[str, Any] = {
            name: value if value or FIELD_BY_NAME[name].kind == "text" else FIELD_BY_NAME[name].default
            for name, value in values.items()
        }
        if "email" in row:
            row["email_key"] = row["email"].lower()
        if custom:
            row["custom_fields"] = _dump({**lead.custom, **custom})
        row["lastUpdated"] = at
        changes = ", ".join(f'"{name}" = ?' for name in row)
        self._database.execute(
            f"UPDATE publitrac_leads SET {changes} WHERE id = ?",  # noqa: S608 - constant names
            [*row.values(), lead.id],
        )

    def touch(self, lead_id: int) -> None:
        """Set `lastUpdated`, which every action of a lead changes."""
        self._database.execute(
            'UPDATE publitrac_leads SET "lastUpdated" = ? WHERE id = ?', [self._clock.text(), lead_id]
        )

    def delete(self, lead_id: int) -> None:
        """Remove a lead and all dependent records."""
        self._database.execute("DELETE FROM publitrac_leads WHERE id = ?", [lead_id])

    def clear(self) -> None:
        """Remove every lead."""
        self._database.execute("DELETE FROM publitrac_leads")
        # The first lead of the emptied account has id 1 again.
        self._database.execute("DELETE FROM sqlite_sequence WHERE name = 'publitrac_leads'")

    def _select(self, condition: str, parameters: Sequence[Any]) -> list[Lead]:
        rows = self._database.execute(f"{_SELECT} WHERE {condition}", parameters)
        return [_lead(row) for row in rows]


def _lead(row: Sequence[Any]) -> Lead:
    lead_id, custom, *values = row
    return Lead(lead_id, {"id": str(lead_id), **dict(zip(_COLUMNS, values, strict=True))}, json.loads(custom))


def _dump(custom: Mapping[str, str]) -> str:
    return json.dumps(dict(custom), ensure_ascii=False)


def _folded(text: str | int | None) -> str | None:
    return None if text is None else str(text).casefold()
