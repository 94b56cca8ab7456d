"""The records of the emulated brokerage systems: offices, contacts, lead sources and leads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.vitec.contract import LEAD_TYPES
from publitrac_async.sandbox.vitec.validation import value

_TABLES: Final = ("vitec_offices", "vitec_contacts", "vitec_sources", "vitec_leads")
_OFFICE: Final = {"id", "customerId", "focusAreas", "redistributor"}


class VitecAccount:
    """State of the API; the control side seeds and resets it."""

    title = "Vitec"

    def __init__(self, database: Database, clock: SandboxClock, settings: SandboxSettings) -> None:
        """Create the tables if the database has none.

        Args:
            database: database of its records.
            clock: clock of the service.
            settings: name of the marketplace, and the credentials.
        """
        self._database = database
        self._clock = clock
        self._settings = settings
        self._marketplace = settings.vitec_marketplace
        for table in _TABLES:
            database.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT NOT NULL, document TEXT NOT NULL)"
            )
        # A temporary index, because searching tens of thousands of contacts would be slow.
        database.execute(
            "CREATE TEMP TABLE vitec_known (customer TEXT, key TEXT, contact INTEGER NOT NULL, "
            "PRIMARY KEY (customer, key)) WITHOUT ROWID"
        )
        for row_id, customer, document in database.execute(
            "SELECT id, customer, document FROM vitec_contacts ORDER BY id"
        ):
            self._index(row_id, customer, _keys(json.loads(document)))

    def environment(self, base_url: str) -> dict[str, str]:
        """Return the environment variables with which `from_env` of its client finds a sandbox."""
        passwords = {
            f"VITEC_PASSWORD_{customer}": groups["PublicAdvertising"]
            for customer, groups in self._settings.vitec_passwords.items()
            if "PublicAdvertising" in groups
        }
        return {
            "VITEC_BASE_URL": base_url,
            "VITEC_USERNAME": self._settings.vitec_username,
            **passwords,
        }

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records.

        Args:
            document: `offices` with `id`, `customerId`, `focusAreas` (beginnings of zip codes, or cities) and
                `redistributor` (an agent's id); `leadSources` with `customerId`, `name` and `leadType`.

        Raises:
            ValueError: a part is unknown or a record cannot be used.
        """
        unknown = set(document) - {"offices", "leadSources"}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} cannot be seeded; known: offices, leadSources")
        with self._database.transaction():
            for office in document.get("offices", ()):
                if not {"id", "customerId"} <= set(office) <= _OFFICE:
                    raise ValueError(
                        "an office needs id and customerId; focusAreas and redistributor are optional"
                    )
                self._insert("vitec_offices", office["customerId"], dict(office))
            for source in document.get("leadSources", ()):
                if set(source) - {"leadType"} != {"customerId", "name"}:
                    raise ValueError("a lead source needs customerId and name; leadType is optional")
                content = {"leadType": source.get("leadType", LEAD_TYPES[0]), "name": source["name"]}
                self._insert("vitec_sources", source["customerId"], content)

    def contents(self) -> dict[str, Any]:
        """Return all records, oldest first."""
        return {
            "leads": self._all("vitec_leads"),
            "contacts": self._all("vitec_contacts"),
            "leadSources": self._all("vitec_sources"),
            "offices": self._all("vitec_offices"),
        }

    def revoke_tokens(self) -> None:
        """Do nothing: there are no tokens."""

    def process_now(self) -> int:
        """Do nothing: leads are stored at once."""
        return 0

    def reset(self) -> None:
        """Delete all records."""
        with self._database.transaction():
            for table in (*_TABLES, "vitec_known"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - constant names

    def create_lead(self, customer: str, lead: Mapping[str, Any]) -> str:
        """Store a valid lead, and return its id. The person may exist already; the lead is always new."""
        source = lead["leadSource"]
        record = {
            "contactId": self._contact(customer, lead["person"]),
            "leadSourceId": self._source(customer, source.get("leadType", LEAD_TYPES[0]), source["name"]),
            "assignedTo": self._assignment(customer, lead),
            "marketing": lead.get("marketing"),
            "message": lead.get("message"),
            "sentAt": self._clock.text(),
        }
        return f"L{self._insert('vitec_leads', customer, record)}"

    def _contact(self, customer: str, person: Mapping[str, Any]) -> str:
        """Find the person by personal number, e-mail address, or name and telephone; otherwise add it."""
        keys = _keys(person)
        marks = ", ".join("?" * len(keys))
        oldest = self._database.execute(
            f"SELECT min(contact) FROM vitec_known WHERE customer = ? AND key IN ({marks})",  # noqa: S608 - question marks
            [customer, *keys],
        ).fetchone()[0]
        if oldest is None:
            oldest = self._insert("vitec_contacts", customer, dict(person))
            self._index(oldest, customer, keys)
        return f"C{oldest}"

    def _index(self, contact: int, customer: str, keys: Iterable[str]) -> None:
        for key in keys:
            self._database.execute(
                "INSERT OR IGNORE INTO vitec_known VALUES (?, ?, ?)", [customer, key, contact]
            )

    def _source(self, customer: str, lead_type: str, name: str) -> str:
        full_name = f"{self._marketplace} {name}"
        for source in self._all("vitec_sources", customer):
            if source["leadType"] == lead_type and source["name"] in (name, full_name):
                return str(source["id"])
        content = {"leadType": lead_type, "name": full_name}
        return f"S{self._insert('vitec_sources', customer, content)}"

    def _assignment(self, customer: str, lead: Mapping[str, Any]) -> dict[str, Any]:
        """Return the receiver of the lead (page of the call, `Receiver`)."""
        receiver = lead.get("receiver") or {}
        for name in ("agent", "userGroup"):
            if name in receiver:
                return {name: receiver[name]}
        offices = self._all("vitec_offices")
        if "office" in receiver:
            wanted = receiver["office"].get("id")
            office = next((office for office in offices if office["id"] == wanted), {"id": wanted})
        else:
            address = lead["person"].get("address", {})
            covering = [office for office in offices if _covers(office, address)]
            own = [office for office in offices if office["customerId"] == customer]
            office = covering[0] if len(covering) == 1 else (own or [{"id": customer}])[0]
        redistributor = office.get("redistributor")
        place = {"redistributor": redistributor} if redistributor else {"place": "Sharktank"}
        return {"office": {"id": office["id"]}, **place}

    def _insert(self, table: str, customer: str, document: Mapping[str, Any]) -> int:
        cursor = self._database.execute(
            f"INSERT INTO {table} (customer, document) VALUES (?, ?)",  # noqa: S608 - constant names
            [customer, json.dumps(document, ensure_ascii=False)],
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _all(self, table: str, customer: str | None = None) -> list[dict[str, Any]]:
        rows = self._database.execute(
            f"SELECT id, customer, document FROM {table} ORDER BY id"  # noqa: S608 - constant names
        )
        initial = {"vitec_contacts": "C", "vitec_sources": "S", "vitec_leads": "L"}.get(table, "")
        return [
            {"id": f"{initial}{row_id}", "customerId": owner, **json.loads(document)}
            for row_id, owner, document in rows
            if customer in (None, owner)
        ]


def _keys(person: Mapping[str, Any]) -> list[str]:
    """Return the values that identify a person."""
    names = tuple(value(person, (name,)).strip().casefold() for name in ("firstName", "lastName"))
    keys: set[tuple[str, ...]] = set()
    if number := value(person, ("socialSecurityNumber",)).strip():
        keys.add(("number", number))
    keys |= {
        ("email", email)
        for name in ("emailAddress", "emailAddress2")
        if (email := value(person, ("email", name)).strip().casefold())
    }
    keys |= {
        ("telephone", *names, digits)
        for name in ("home", "work", "cell")
        if (digits := "".join(filter(str.isdigit, value(person, ("telephone", name)))))
    }
    return [json.dumps(key) for key in keys]


def _covers(office: Mapping[str, Any], address: Mapping[str, Any]) -> bool:
    zip_code = "".join(value(address, ("zipCode",)).split())
    city = value(address, ("city",)).strip().casefold()
    return any(
        zip_code.startswith(area) if area.isdigit() else city == area.casefold()
        for area in office.get("focusAreas", ())
    )
