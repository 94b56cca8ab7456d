"""State of the emulated Marketo instance, for its API and for the control side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.marketo.assets import AssetStore
from publitrac_async.sandbox.marketo.envelope import RecordRefusedError
from publitrac_async.sandbox.marketo.fields import FieldStore
from publitrac_async.sandbox.marketo.leads import DEFAULT_PARTITION, LeadStore
from publitrac_async.sandbox.marketo.tokens import IssuedTokens
from publitrac_async.sandbox.settings import SandboxSettings

_PARTS: Final = frozenset(
    {"leads", "fields", "lists", "programs", "campaigns", "forms", "partitions", "mktTokens"}
)
_CENTRAL: Final = timezone(timedelta(hours=-6))


class MarketoAccount:
    """Leads, fields, assets and tokens of one instance; the control side seeds and resets it."""

    title = "Marketo"

    def __init__(self, database: Database, clock: SandboxClock, settings: SandboxSettings) -> None:
        """Open the account.

        Args:
            database: database of its records.
            clock: clock of the service.
            settings: settings, such as the lifetime of tokens.
        """
        self._database = database
        self._clock = clock
        self.leads: LeadStore = LeadStore(database, clock)
        self.fields: FieldStore = FieldStore(database)
        self.assets: AssetStore = AssetStore(database)
        self.tokens: IssuedTokens = IssuedTokens(clock, settings.marketo_token_life)
        self.rate_limit: CallLimit | None = CallLimit.of(settings.marketo_rate_limit, 20.0)
        self._settings = settings
        self._calls = 0
        self._day = ""
        self._ensure_partition()

    def environment(self, base_url: str) -> dict[str, str]:
        """Return the environment variables with which `from_env` of its client finds a sandbox."""
        return {
            "MARKETO_BASE_URL": f"{base_url}/rest",
            "MARKETO_CLIENT_ID": self._settings.marketo_client_id,
            "MARKETO_CLIENT_SECRET": self._settings.marketo_client_secret,
        }

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records in the vendor's own names.

        Args:
            document: `leads` by REST names; `fields` as Create Lead Fields takes them; `lists`, `programs`
                and `campaigns` with `id`, `name` and `leads` (ids, or memberships with `leadId`);
                `forms` with `id` and `fields`; `partitions` (names); `mktTokens` (lead id by token).

        Raises:
            ValueError: a part is unknown or a record cannot be used.
        """
        unknown = set(document) - _PARTS
        if unknown:
            raise ValueError(
                f"{', '.join(sorted(unknown))} cannot be seeded; known: {', '.join(sorted(_PARTS))}"
            )
        with self._database.transaction():
            for field in document.get("fields", ()):
                self._seed_field(field)
            for partition in document.get("partitions", ()):
                self.assets.add("partition", partition, {"name": partition})
            for lead in document.get("leads", ()):
                values = dict(lead)
                if "id" in values and self.leads.get(values["id"]) is not None:
                    raise ValueError(f"a lead with id {values['id']} exists already")
                self.leads.insert(values, partition=values.pop("partitionName", DEFAULT_PARTITION))
            for kind in ("list", "program", "campaign"):
                for asset in document.get(f"{kind}s", ()):
                    self._seed_asset(kind, asset)
            for form in document.get("forms", ()):
                self.assets.add(
                    "form", form["id"], {"fields": list(form["fields"]), "program": form.get("program")}
                )
            for token, lead_id in document.get("mktTokens", {}).items():
                self.assets.add("mktToken", token, {"leadId": lead_id})

    def contents(self) -> dict[str, Any]:
        """Return leads and activities, oldest first, and custom fields."""
        return {
            "leads": self.leads.all(),
            "activities": self.leads.activities(),
            "fields": [name for name, field in self.fields.all().items() if field.custom],
        }

    def partitions(self) -> dict[str, int]:
        """Return the partitions: names, and numbers in the order in which they were added."""
        return {name: number for number, (name, _) in enumerate(self.assets.all("partition"), 1)}

    def revoke_tokens(self) -> None:
        """Invalidate the token."""
        self.tokens.revoke()

    def process_now(self) -> int:
        """Do nothing: calls are processed at once."""
        return 0

    def reset(self) -> None:
        """Delete all records, and invalidate the token."""
        with self._database.transaction():
            self.leads.clear()
            self.fields.clear()
            self.assets.clear()
            self._ensure_partition()
        self.tokens.revoke()
        self._calls = 0
        if self.rate_limit is not None:
            self.rate_limit.clear()

    def count_call(self) -> int:
        """Count a call, and return the number of calls since midnight, Central Time."""
        day = datetime.fromtimestamp(self._clock.timestamp(), tz=UTC).astimezone(_CENTRAL).date().isoformat()
        if day != self._day:
            self._day, self._calls = day, 0
        self._calls += 1
        return self._calls

    def _seed_field(self, field: Mapping[str, Any]) -> None:
        try:
            self.fields.create(field)
        except RecordRefusedError as refused:
            raise ValueError(f"a field cannot be used: {refused}") from None

    def _seed_asset(self, kind: str, asset: Mapping[str, Any]) -> None:
        now = self.leads.now()
        document = {"name": asset.get("name", ""), "type": asset.get("type", "")}
        self.assets.add(kind, asset["id"], {**document, "createdAt": now, "updatedAt": now})
        for member in asset.get("leads", ()):
            content = dict(member) if isinstance(member, Mapping) else {"leadId": member}
            lead = content.pop("leadId")
            if self.leads.get(lead) is None:
                raise ValueError(f"there is no lead {lead}")
            moment = self.leads.now()
            self.assets.add_member(
                kind, asset["id"], lead, {"createdAt": moment, "updatedAt": moment, **content}
            )

    def _ensure_partition(self) -> None:
        self.assets.add("partition", DEFAULT_PARTITION, {"name": DEFAULT_PARTITION})
