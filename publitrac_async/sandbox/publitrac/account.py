"""Everything the emulated PUBLITRAC account holds, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.settings import SandboxSettings

from .delayed import DelayedQueue
from .leads import LeadStore
from .seeding import seed_lead
from .sync import LeadSync
from .tokens import TokenBook


class PublitracAccount:
    """The state behind v1 and v2; also the vendor that the control side seeds and empties."""

    def __init__(self, database: Database, clock: SandboxClock, settings: SandboxSettings) -> None:
        """Open the account.

        Args:
            database: Where it is kept.
            clock: Tells the time.
            settings: Choices the documents leave open.
        """
        self._database = database
        self.clock = clock
        self.leads = LeadStore(database, clock)
        self.sync = LeadSync(
            self.leads,
            database,
            custom_fields=settings.custom_fields,
            empty_clears=settings.empty_tag_clears,
            move_history=lambda _source, _target: None,
        )
        self.queue = DelayedQueue(
            database,
            clock,
            self.sync,
            delay=settings.processing_delay,
            ignore_case=settings.match_v2_names_ignoring_case,
        )
        self.tokens = TokenBook(clock, settings.token_ttl)

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records in the vendor's own names.

        Args:
            document: `leads` is a list of leads; unknown names are custom fields.

        Raises:
            ValueError: If a part is unknown or a record cannot be used.
        """
        unknown = set(document) - {"leads"}
        if unknown:
            raise ValueError(f"Nothing called {', '.join(sorted(unknown))} can be seeded.")
        with self._database.transaction():
            for lead in document.get("leads", ()):
                seed_lead(self.leads, lead, at=self.clock.text())

    def contents(self) -> dict[str, Any]:
        """Return everything the account holds now, in the vendor's own names."""
        return {
            "leads": self.found_leads(),
            "pending": self.queue.pending(),
            "rejections": self.queue.rejections(),
        }

    def found_leads(self, email: str | None = None) -> list[dict[str, str]]:
        """Return the leads the account holds now, oldest first.

        Args:
            email: Only those with this e-mail.
        """
        self.queue.process_due()
        found = self.leads.all() if email is None else self.leads.by_email(email)
        return [lead.as_dict() for lead in found]

    def revoke_tokens(self) -> None:
        """Make every v2 token stale."""
        self.tokens.revoke()

    def process_now(self) -> int:
        """Process everything `delayedSync` has queued and return how much that was."""
        return self.queue.process_all()

    def reset(self) -> None:
        """Forget everything."""
        with self._database.transaction():
            self.leads.clear()
            self.queue.clear()
        self.tokens.revoke()
