"""Sales opportunities, with the field names of getOpportunities (PUBLITRAC API reference)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database

OPPORTUNITY_FIELDS: Final = (
    "Name",
    "Description",
    "Opportunity_Type",
    "Account_Name",
    "Campaign_Name",
    "Lead_Source",
    "Amount",
    "Date_Closed",
    "Sales_Stage",
    "Probability",
    "External_id",
    "Account",
    "Created_Date",
    "Last_Updated",
)
"""The elements besides `id`, in the order of the response."""


@frozen
class Opportunity:
    """A stored opportunity."""

    id: int
    fields: Mapping[str, str]

    def as_dict(self) -> dict[str, str]:
        """Return id and fields in the order of the response."""
        return {"id": str(self.id), **{name: self.fields.get(name, "") for name in OPPORTUNITY_FIELDS}}


class OpportunityStore:
    """Reads and writes opportunities."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the tables if the database has none."""
        self._database = database
        self._clock = clock
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_opportunities "
            "(id INTEGER PRIMARY KEY, external_id TEXT NOT NULL, fields TEXT NOT NULL)"
        )
        database.execute(
            "CREATE INDEX IF NOT EXISTS publitrac_opportunities_external_id "
            "ON publitrac_opportunities (external_id)"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_opportunity_leads ("
            "opportunity_id INTEGER NOT NULL REFERENCES publitrac_opportunities ON DELETE CASCADE, "
            "lead_id INTEGER NOT NULL REFERENCES publitrac_leads ON DELETE CASCADE, "
            "PRIMARY KEY (opportunity_id, lead_id)) WITHOUT ROWID"
        )
        database.execute(
            "CREATE INDEX IF NOT EXISTS publitrac_opportunity_leads_lead "
            "ON publitrac_opportunity_leads (lead_id)"
        )

    def sync(self, fields: Mapping[str, str], lead_ids: Sequence[int]) -> None:
        """Create the opportunity with this `External_id`, or update its fields and replace its leads."""
        now = self._clock.text()
        found = self._select("external_id = ? ORDER BY id LIMIT 1", [fields["External_id"]])
        if found:
            changed = {**found[0].fields, **fields, "Last_Updated": now}
            self._database.execute(
                "UPDATE publitrac_opportunities SET fields = ? WHERE id = ?", [_dump(changed), found[0].id]
            )
            self._set_leads(found[0].id, lead_ids)
        else:
            self.create({"Account": "1", "Created_Date": now, "Last_Updated": now, **fields}, lead_ids)

    def create(
        self, fields: Mapping[str, str], lead_ids: Sequence[int] = (), opportunity_id: int | None = None
    ) -> None:
        """Store a new opportunity unchanged."""
        cursor = self._database.execute(
            "INSERT INTO publitrac_opportunities (id, external_id, fields) VALUES (?, ?, ?)",
            [opportunity_id, fields.get("External_id", ""), _dump(fields)],
        )
        assert cursor.lastrowid is not None
        self._set_leads(cursor.lastrowid, lead_ids)

    def page(self, *, number: int, size: int) -> list[Opportunity]:
        """Return one page, oldest first."""
        return self._select("1 ORDER BY id LIMIT ? OFFSET ?", [size, (number - 1) * size])

    def count(self) -> int:
        """Return the number of opportunities."""
        count: int = self._database.execute("SELECT count(*) FROM publitrac_opportunities").fetchone()[0]
        return count

    def all(self) -> list[dict[str, Any]]:
        """Return every opportunity with the `crmLeadId` of its leads."""
        found = []
        for opportunity in self._select("1 ORDER BY id", []):
            leads = self._database.execute(
                'SELECT "crmLeadId" FROM publitrac_opportunity_leads '
                "JOIN publitrac_leads AS lead ON lead.id = lead_id WHERE opportunity_id = ? ORDER BY lead.id",
                [opportunity.id],
            )
            found.append({**opportunity.as_dict(), "leads": [crm_lead_id for (crm_lead_id,) in leads]})
        return found

    def clear(self) -> None:
        """Remove every opportunity."""
        self._database.execute("DELETE FROM publitrac_opportunities")

    def _set_leads(self, opportunity_id: int, lead_ids: Sequence[int]) -> None:
        self._database.execute(
            "DELETE FROM publitrac_opportunity_leads WHERE opportunity_id = ?", [opportunity_id]
        )
        for lead_id in lead_ids:
            self._database.execute(
                "INSERT OR IGNORE INTO publitrac_opportunity_leads (opportunity_id, lead_id) VALUES (?, ?)",
                [opportunity_id, lead_id],
            )

    def _select(self, condition: str, parameters: Sequence[Any]) -> list[Opportunity]:
        rows = self._database.execute(
            f"SELECT id, fields FROM publitrac_opportunities WHERE {condition}",  # noqa: S608 - constant
            parameters,
        )
        return [Opportunity(opportunity_id, json.loads(fields)) for opportunity_id, fields in rows]


def _dump(fields: Mapping[str, str]) -> str:
    return json.dumps(dict(fields), ensure_ascii=False)
