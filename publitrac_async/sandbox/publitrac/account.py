"""State of the emulated PUBLITRAC account, for its APIs and for the control side."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from attrs import asdict

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.publitrac.campaigns import CampaignStore
from publitrac_async.sandbox.publitrac.delayed import DelayedQueue
from publitrac_async.sandbox.publitrac.history import HistoryStore
from publitrac_async.sandbox.publitrac.leads import LeadStore
from publitrac_async.sandbox.publitrac.lists import LeadList, ListStore
from publitrac_async.sandbox.publitrac.opportunities import OpportunityStore
from publitrac_async.sandbox.publitrac.seeding import seed
from publitrac_async.sandbox.publitrac.sync import LeadSync
from publitrac_async.sandbox.publitrac.tokens import IssuedTokens
from publitrac_async.sandbox.publitrac.transactions import TransactionStore
from publitrac_async.sandbox.settings import SandboxSettings


class PublitracAccount:
    """State of v1 and v2; the control side seeds and resets it."""

    title = "PUBLITRAC"

    def __init__(self, database: Database, clock: SandboxClock, settings: SandboxSettings) -> None:
        """Open the account.

        Args:
            database: database of its records.
            clock: clock of the service.
            settings: choices that the documents leave open.
        """
        self._database = database
        clock = clock.in_zone(settings.time_zone)
        self.clock: SandboxClock = clock
        self.leads: LeadStore = LeadStore(database, clock)
        self.lists: ListStore = ListStore(database)
        self.history: HistoryStore = HistoryStore(database, clock)
        self.campaigns: CampaignStore = CampaignStore(database, clock)
        self.opportunities: OpportunityStore = OpportunityStore(database, clock)
        self.transactions: TransactionStore = TransactionStore(database, clock)
        self.sync: LeadSync = LeadSync(
            self.leads,
            database,
            custom_fields=settings.custom_fields,
            empty=settings.empty_element,
            move_history=self.history.move,
        )
        self.queue: DelayedQueue = DelayedQueue(
            database,
            clock,
            self.sync,
            delay=settings.processing_delay,
            ignore_case=settings.match_v2_names_ignoring_case,
        )
        self.tokens: IssuedTokens = IssuedTokens(clock, settings.token_ttl)
        self._settings = settings
        by_address = settings.limit_counts == "address"
        self.v1_limit: CallLimit | None = CallLimit.of(settings.rate_limit, by_address=by_address)
        self.v2_limit: CallLimit | None = self.v1_limit
        if settings.v2_rate_limit != "shared":
            self.v2_limit = CallLimit.of(settings.v2_rate_limit, by_address=by_address)

    def environment(self, base_url: str) -> dict[str, str]:
        """Return the environment variables with which `from_env` of its client finds a sandbox."""
        return {
            "PUBLITRAC_BASE_URL": base_url,
            "PUBLITRAC_API_KEY": self._settings.api_key,
            "PUBLITRAC_USERNAME": self._settings.username,
            "PUBLITRAC_PASSWORD": self._settings.password,
        }

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that applies all changes or none."""
        return self._database.transaction()

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add records; see `seeding.seed` for the form of a document.

        Raises:
            ValueError: a record cannot be used; then nothing is added.
        """
        with self._database.transaction():
            seed(self, document)

    def contents(self) -> dict[str, Any]:
        """Return all current records, in the vendor's own names.

        Returns:
            `leads`, `lists`, `views`, `campaigns` (with the e-mails of the leads in `entries`), `emails`,
            `forms`, `history`, `opportunities`, `transactions`; `pending`, the number of queued leads of
            `delayedSync`; `rejections`, those that could not be processed, with reasons.
        """
        leads = self.found_leads()
        lists = self.lists.all()
        return {
            "leads": leads,
            "lists": [self._list_contents(found) for found in lists if not found.filtered],
            "views": [
                {"name": found.name, "queries": [asdict(condition) for condition in found.conditions]}
                for found in lists
                if found.conditions is not None
            ],
            "campaigns": self.campaigns.all(),
            "emails": self.campaigns.emails(),
            "forms": self.history.forms(),
            "history": self.history.all(),
            "opportunities": self.opportunities.all(),
            "transactions": self.transactions.all(),
            "pending": self.queue.pending(),
            "rejections": self.queue.rejections(),
        }

    def found_leads(self, email: str | None = None) -> list[dict[str, str]]:
        """Return the current leads, oldest first.

        Args:
            email: only those with this e-mail.
        """
        with self._database.lock:
            self.queue.process_due()
            found = self.leads.all() if email is None else self.leads.by_email(email)
            return [lead.as_dict() for lead in found]

    def revoke_tokens(self) -> None:
        """Invalidate every v2 token."""
        self.tokens.revoke()

    def process_now(self) -> int:
        """Process the whole queue of `delayedSync`, and return its length."""
        return self.queue.process_all()

    def reset(self) -> None:
        """Delete all records, and invalidate every token."""
        with self._database.transaction():
            for store in (
                self.transactions,
                self.opportunities,
                self.campaigns,
                self.history,
                self.lists,
                self.leads,
                self.queue,
            ):
                store.clear()
        self.tokens.revoke()
        for limit in (self.v1_limit, self.v2_limit):
            if limit is not None:
                limit.clear()

    def _list_contents(self, found: LeadList) -> dict[str, Any]:
        condition, parameters = found.where()
        leads = self.leads.page(condition, parameters, number=1, size=-1)
        return {"name": found.name, "leads": [lead.email for lead in leads]}
