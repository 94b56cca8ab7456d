"""Campaigns, the leads that entered them, and the e-mails they sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database

TRACKING: Final = "CAMPAIGNTRACKING"
"""`CampaignType` of the follow-up campaigns that getCampaigns returns (sample of that method)."""
EMAIL: Final = "CAMPAIGNEMAIL"
"""`CampaignType` of campaigns by addEmailCampaign. Undocumented; getCampaigns does not return them."""

CAMPAIGN_FIELDS: Final = ("Name", "Type", "Token", "CampaignType", "Created_Date", "Last_Updated")
_COLUMNS: Final = ", ".join(f'"{name}"' for name in CAMPAIGN_FIELDS)


@frozen
class Campaign:
    """A campaign, with the field names of getCampaigns."""

    id: int
    fields: Mapping[str, str]

    def as_dict(self) -> dict[str, str]:
        """Return id and fields in the order of the responses."""
        return {"id": str(self.id), **self.fields}


class CampaignStore:
    """Reads and writes campaigns."""

    def __init__(self, database: Database, clock: SandboxClock) -> None:
        """Create the tables if the database has none."""
        self._database = database
        self._clock = clock
        columns = ", ".join(
            f"\"{name}\" TEXT NOT NULL DEFAULT ''{' COLLATE NOCASE' if name == 'Name' else ''}"
            for name in CAMPAIGN_FIELDS
        )
        database.execute(
            f"CREATE TABLE IF NOT EXISTS publitrac_campaigns (id INTEGER PRIMARY KEY, {columns})"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_emails (id INTEGER PRIMARY KEY, "
            "campaign_id INTEGER NOT NULL REFERENCES publitrac_campaigns ON DELETE CASCADE, "
            "fields TEXT NOT NULL, at TEXT NOT NULL)"
        )
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_campaign_entries (id INTEGER PRIMARY KEY, "
            "campaign_id INTEGER NOT NULL REFERENCES publitrac_campaigns ON DELETE CASCADE, "
            "lead_id INTEGER NOT NULL REFERENCES publitrac_leads ON DELETE CASCADE, "
            "email_id INTEGER REFERENCES publitrac_emails ON DELETE CASCADE, at TEXT NOT NULL)"
        )
        for column in ("lead_id", "campaign_id", "email_id"):
            database.execute(
                f"CREATE INDEX IF NOT EXISTS publitrac_campaign_entries_{column} "
                f"ON publitrac_campaign_entries ({column})"
            )

    def create(self, fields: Mapping[str, str], campaign_id: int | None = None) -> Campaign:
        """Store a new campaign.

        Args:
            fields: some of `CAMPAIGN_FIELDS`; token, type and dates have defaults.
            campaign_id: its id; by default the next free one.
        """
        now = self._clock.text()
        defaults = {
            "Token": f"CMP-{int(self._clock.timestamp() * 16**5):013x}"[:17],
            "CampaignType": TRACKING,
            "Created_Date": now,
            "Last_Updated": now,
        }
        row = {name: fields.get(name, defaults.get(name, "")) for name in CAMPAIGN_FIELDS}
        cursor = self._database.execute(
            f"INSERT INTO publitrac_campaigns (id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [campaign_id, *row.values()],
        )
        assert cursor.lastrowid is not None
        return Campaign(cursor.lastrowid, row)

    def find(self, name: str) -> Campaign | None:
        """Return the oldest campaign with a name."""
        found = self._select('"Name" = ? ORDER BY id LIMIT 1', [name])
        return found[0] if found else None

    def tracking_page(self, *, number: int, size: int) -> list[Campaign]:
        """Return one page of the follow-up campaigns, oldest first."""
        return self._select(
            '"CampaignType" = ? ORDER BY id LIMIT ? OFFSET ?', [TRACKING, size, (number - 1) * size]
        )

    def count_tracking(self) -> int:
        """Return the number of follow-up campaigns."""
        count: int = self._database.execute(
            'SELECT count(*) FROM publitrac_campaigns WHERE "CampaignType" = ?', [TRACKING]
        ).fetchone()[0]
        return count

    def enter(self, campaign: Campaign, lead_id: int, email_id: int | None = None) -> None:
        """Record that a lead enters a campaign, and gets an e-mail if given. Repeated entries count."""
        self._database.execute(
            "INSERT INTO publitrac_campaign_entries (campaign_id, lead_id, email_id, at) VALUES (?, ?, ?, ?)",
            [campaign.id, lead_id, email_id, self._clock.text()],
        )

    def add_email(self, campaign: Campaign, fields: Mapping[str, str]) -> int:
        """Store an e-mail that a campaign sends and return its id."""
        cursor = self._database.execute(
            "INSERT INTO publitrac_emails (campaign_id, fields, at) VALUES (?, ?, ?)",
            [campaign.id, json.dumps(dict(fields), ensure_ascii=False), self._clock.text()],
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def all(self) -> list[dict[str, Any]]:
        """Return every campaign, with the e-mail addresses of the leads in order of entry."""
        return [
            {
                **campaign.as_dict(),
                "entries": self._emails("entry.campaign_id = ?", campaign.id),
            }
            for campaign in self._select("1 ORDER BY id", [])
        ]

    def emails(self) -> list[dict[str, Any]]:
        """Return every e-mail that was sent, with its campaign and recipients."""
        rows = self._database.execute(
            'SELECT email.id, "Name", fields, at FROM publitrac_emails AS email '
            "JOIN publitrac_campaigns AS campaign ON campaign.id = campaign_id ORDER BY email.id"
        ).fetchall()
        return [
            {
                "campaign": name,
                **json.loads(fields),
                "recipients": self._emails("entry.email_id = ?", email_id),
                "at": at,
            }
            for email_id, name, fields, at in rows
        ]

    def clear(self) -> None:
        """Remove every campaign."""
        self._database.execute("DELETE FROM publitrac_campaigns")

    def _emails(self, condition: str, parameter: int) -> list[str]:
        rows = self._database.execute(
            "SELECT email FROM publitrac_campaign_entries AS entry "  # noqa: S608 - constant conditions
            f"JOIN publitrac_leads AS lead ON lead.id = lead_id WHERE {condition} ORDER BY entry.id",
            [parameter],
        )
        return [email for (email,) in rows]

    def _select(self, condition: str, parameters: Sequence[Any]) -> list[Campaign]:
        rows = self._database.execute(
            f"SELECT id, {_COLUMNS} FROM publitrac_campaigns WHERE {condition}",  # noqa: S608
            parameters,
        )
        return [
            Campaign(campaign_id, dict(zip(CAMPAIGN_FIELDS, values, strict=True)))
            for campaign_id, *values in rows
        ]
