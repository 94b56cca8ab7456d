"""The fields of leads: standard and created ones (Marketo REST API, Leads, Fields)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.marketo.envelope import RecordRefusedError
from publitrac_async.sandbox.marketo.standard import STANDARD

DATA_TYPES: Final = frozenset(
    {
        "boolean",
        "currency",
        "date",
        "datetime",
        "email",
        "float",
        "integer",
        "percent",
        "phone",
        "score",
        "string",
        "url",
    }
)
MOST_CUSTOM_FIELDS: Final = 100
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPECIAL: Final = re.compile(r"[^\w .\-]")
_TEXTS: Final = frozenset({"email", "phone", "string", "url"})
_NUMBERS: Final = frozenset({"currency", "float", "percent"})
_INTEGERS: Final = frozenset({"integer", "score", "reference"})
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


@frozen(kw_only=True)
class Field:
    """One field of leads."""

    id: int
    name: str
    display_name: str
    data_type: str
    length: int | None = None
    read_only: bool = False
    searchable: bool = False
    company: bool = False
    """True if it belongs to the lead's company, which Sync Leads does not update (code 1021)."""
    description: str | None = None
    hidden: bool = False
    encoded: bool = True
    sensitive: bool = True
    custom: bool = False

    @property
    def described_type(self) -> str:
        """The type in descriptions of leads, where real instances show a score as an integer."""
        return "integer" if self.data_type == "score" else self.data_type

    def check(self, value: Any) -> None:
        """Refuse a value that does not fit the type or is too long.

        Null and empty text empty any field. Code and message for a wrong type are from recordings of a real
        instance; those for a value that is too long are unknown.

        Raises:
            RecordRefusedError: the value is refused (1003).
        """
        if value is None or value == "":
            return
        if not _FITS.get(self.data_type, _is_text)(value):
            raise RecordRefusedError("1003", f"Invalid value for field '{self.name}' and value '{value}'")
        if self.length is not None and isinstance(value, str) and len(value) > self.length:
            raise RecordRefusedError("1003", f"Value for '{self.name}' exceeds {self.length} characters")

    def stored(self, value: Any) -> Any:
        """Return a valid value in the form of responses: numbers, flags, and times in UTC to the second."""
        if value is None or value == "":
            return None
        if self.data_type == "boolean":
            return value in (True, 1, "true", "1")
        if self.data_type in _INTEGERS:
            return int(value)
        if self.data_type in _NUMBERS:
            return float(value)
        if self.data_type == "datetime":
            moment = datetime.fromisoformat(value)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return f"{aware.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value) is not None
    )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or value in (0, 1, "true", "false", "0", "1")


def _is_date(value: Any) -> bool:
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_datetime(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


_FITS: Final = {
    **dict.fromkeys(_NUMBERS, _is_number),
    **dict.fromkeys(_TEXTS, _is_text),
    **dict.fromkeys(_INTEGERS, _is_integer),
    "email": _is_address,
    "boolean": _is_flag,
    "date": _is_date,
    "datetime": _is_datetime,
}

_SEARCHABLE_CUSTOM: Final = frozenset({"string", "email", "integer"})
_STANDARD_MAY_CHANGE: Final = frozenset({"description", "isHtmlEncodingInEmail", "isSensitive"})
_CUSTOM_MAY_CHANGE: Final = _STANDARD_MAY_CHANGE | {"displayName", "isHidden"}


class FieldStore:
    """All current fields of leads."""

    def __init__(self, database: Database) -> None:
        """Create the table if the database has none."""
        self._database = database
        database.execute(
            "CREATE TABLE IF NOT EXISTS marketo_fields "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, document TEXT NOT NULL)"
        )

    def all(self) -> dict[str, Field]:
        """Return the fields by REST name: standard ones first, then custom ones in order of creation.

        Changes of a standard field are stored with the custom fields, under the same name.
        """
        stored = {
            name: (number, json.loads(document))
            for number, name, document in self._database.execute(
                "SELECT id, name, document FROM marketo_fields ORDER BY id"
            )
        }
        found = {}
        for number, (name, display_name, data_type, length, special) in enumerate(STANDARD, start=1):
            _, change = stored.pop(name, (0, {}))
            found[name] = Field(
                id=number,
                name=name,
                display_name=display_name,
                data_type=data_type,
                length=length,
                read_only="read-only" in special,
                searchable="searchable" in special,
                company="company" in special,
                description=change.get("description"),
                encoded=change.get("isHtmlEncodingInEmail", data_type not in ("boolean", "date")),
                sensitive=change.get("isSensitive", True),
            )
        for name, (number, document) in stored.items():
            data_type = document["dataType"]
            found[name] = Field(
                id=1000 + number,
                name=name,
                display_name=document["displayName"],
                data_type=data_type,
                length=255 if data_type in _TEXTS else None,
                searchable=data_type in _SEARCHABLE_CUSTOM,
                description=document.get("description"),
                hidden=document.get("isHidden", False),
                encoded=document.get("isHtmlEncodingInEmail", True),
                sensitive=document.get("isSensitive", False),
                custom=True,
            )
        return found

    def create(self, record: Mapping[str, Any]) -> None:
        """Add a custom field.

        Raises:
            RecordRefusedError: the description is invalid, or the field exists.
        """
        known = self.all()
        for required in ("displayName", "name", "dataType"):
            if not isinstance(record.get(required), str) or not record[required].strip():
                raise RecordRefusedError("1002", f"Missing value for the required parameter '{required}'")
        unknown = set(record) - {"displayName", "name", "dataType"} - _CUSTOM_MAY_CHANGE
        if unknown:
            raise RecordRefusedError("1006", f"Field '{min(unknown)}' not found")
        if not _NAME.fullmatch(record["name"]):
            raise RecordRefusedError("1003", "Invalid field name")
        if _SPECIAL.search(record["displayName"]):
            raise RecordRefusedError("1003", "Display name contains special characters")
        if record["dataType"] not in DATA_TYPES:
            raise RecordRefusedError(
                "1001", f"Invalid value '{record['dataType']}'. Required of type 'dataType'"
            )
        if record["name"] in known or record["displayName"] in {
            field.display_name for field in known.values()
        }:
            raise RecordRefusedError("1017", "Object already exists")
        if sum(field.custom for field in known.values()) >= MOST_CUSTOM_FIELDS:
            raise RecordRefusedError("1028", "Max field limit reached")
        self._store(record["name"], record)

    def update(self, name: str, record: Mapping[str, Any]) -> None:
        """Change a field that exists.

        Raises:
            RecordRefusedError: an attribute cannot be changed.
        """
        field = self.all()[name]
        allowed = _CUSTOM_MAY_CHANGE if field.custom else _STANDARD_MAY_CHANGE
        for changed in record:
            if changed not in allowed:
                raise RecordRefusedError("1003", f"'{changed}' of field '{name}' cannot be updated")
        row = self._database.execute("SELECT document FROM marketo_fields WHERE name = ?", [name]).fetchone()
        self._store(name, {**(json.loads(row[0]) if row else {}), **record})

    def clear(self) -> None:
        """Delete custom fields and changes."""
        self._database.execute("DELETE FROM marketo_fields")

    def _store(self, name: str, document: Mapping[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO marketo_fields (name, document) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET document = excluded.document",
            [name, json.dumps(document, ensure_ascii=False)],
        )
