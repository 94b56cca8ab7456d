"""The sandbox without ASGI: the parts, and the operations that Python and HTTP share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.faults import Fault, FaultQueue
from publitrac_async.sandbox.journal import Journal
from publitrac_async.sandbox.marketo import MarketoAccount
from publitrac_async.sandbox.message import Vendor
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.vitec import VitecAccount


class SandboxCore:
    """The emulated vendors' accounts, their clock, journal, limits and faults.

    A further vendor is one more entry in `vendors`, and its API in `assembly`: all else is made from these.
    Every operation may be called from any thread.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        """Open the database and assemble the parts."""
        self.settings = settings
        self.clock: SandboxClock = SandboxClock()
        self.journal: Journal = Journal(settings.journal_contents)
        self.faults: FaultQueue = FaultQueue()
        self.database: Database = Database(settings.database)
        self.publitrac: PublitracAccount = PublitracAccount(self.database, self.clock, settings)
        self.marketo: MarketoAccount = MarketoAccount(self.database, self.clock, settings)
        self.vitec: VitecAccount = VitecAccount(self.database, self.clock, settings)
        self.vendors: Mapping[str, Vendor] = {
            "publitrac": self.publitrac,
            "marketo": self.marketo,
            "vitec": self.vitec,
        }

    def reset(self) -> None:
        """Return to the state of a new sandbox: records, queue, tokens, clock, faults, journal, limits."""
        with self.database.lock:
            for vendor in self.vendors.values():
                vendor.reset()
            self.clock.reset()
            self.faults.clear()
            self.journal.clear()

    def inject(self, fault: Fault) -> None:
        """Add a fault after the active ones."""
        self.faults.inject(fault)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self.faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: tokens age, queued leads become due, dates advance.

        Args:
            seconds: the number of seconds; not negative.

        Raises:
            ValueError: `seconds` is negative or not a finite number.
        """
        with self.database.lock:
            self.clock.advance(seconds)

    def revoke_tokens(self) -> None:
        """Invalidate every token that was issued so far."""
        with self.database.lock:
            for vendor in self.vendors.values():
                vendor.revoke_tokens()

    def process_now(self) -> int:
        """Process the whole queue and return its length."""
        with self.database.lock:
            return sum(vendor.process_now() for vendor in self.vendors.values())

    def environment_at(self, base_url: str) -> dict[str, str]:
        """Return environment variables with which `from_env` of each client finds the sandbox at a URL."""
        found: dict[str, str] = {}
        for vendor in self.vendors.values():
            found |= vendor.environment(base_url)
        return found

    def contents(self, vendor: str = "publitrac") -> dict[str, Any]:
        """Return the records of a vendor now, in the vendor's own names.

        Args:
            vendor: a name in `vendors`, such as `marketo`.

        Raises:
            KeyError: there is no such vendor.
        """
        with self.database.lock:
            return self.vendors[vendor].contents()
