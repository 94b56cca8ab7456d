"""The sandbox without ASGI: the parts, and the operations that Python and HTTP share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.faults import Fault, FaultQueue
from publitrac_async.sandbox.journal import Journal
from publitrac_async.sandbox.limit import CallLimit
from publitrac_async.sandbox.marketo import MarketoAccount
from publitrac_async.sandbox.message import Vendor
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.vitec import VitecAccount


class SandboxCore:
    """The emulated vendors' accounts, their clock, journal, limits and faults.

    A further vendor is one more entry in `vendors`, and its API in `assembly`. Every operation may be called
    from any thread.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        """Open the database and assemble the parts."""
        self.settings = settings
        self.clock: SandboxClock = SandboxClock()
        self.journal: Journal = Journal(settings.journal_contents)
        self.faults: FaultQueue = FaultQueue()
        self.database: Database = Database(settings.database)
        self.publitrac: PublitracAccount = PublitracAccount(self.database, self.clock, settings)
        self.vitec: VitecAccount = VitecAccount(self.database, self.clock, settings)
        self.marketo: MarketoAccount = MarketoAccount(self.database, self.clock, settings)
        self.vendors: Mapping[str, Vendor] = {
            "publitrac": self.publitrac,
            "vitec": self.vitec,
            "marketo": self.marketo,
        }
        self.limits: Mapping[str, CallLimit | None] = _limits(settings)

    def reset(self) -> None:
        """Return to the state of a new sandbox: records, queue, tokens, clock, faults, journal, limits."""
        with self.database.lock:
            for vendor in self.vendors.values():
                vendor.reset()
            for limit in self.limits.values():
                if limit is not None:
                    limit.clear()
            self.clock.reset()
            self.faults.clear()
            self.journal.clear()

    def inject(self, fault: Fault) -> None:
        """Add a fault after those in force."""
        self.faults.inject(fault)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self.faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: tokens age, queued leads become due, dates move on.

        Args:
            seconds: the distance; not negative.

        Raises:
            ValueError: `seconds` is negative or not a finite number.
        """
        with self.database.lock:
            self.clock.advance(seconds)

    def revoke_tokens(self) -> None:
        """Make every token stale that was issued so far."""
        with self.database.lock:
            for vendor in self.vendors.values():
                vendor.revoke_tokens()

    def process_now(self) -> int:
        """Process the whole queue and return its length."""
        with self.database.lock:
            return sum(vendor.process_now() for vendor in self.vendors.values())

    def contents(self, vendor: str = "publitrac") -> dict[str, Any]:
        """Return the records of a vendor now, in the vendor's own names.

        Args:
            vendor: `publitrac`, `vitec` or `marketo`.

        Raises:
            KeyError: there is no such vendor.
        """
        with self.database.lock:
            return self.vendors[vendor].contents()


def _limits(settings: SandboxSettings) -> dict[str, CallLimit | None]:
    by_address = settings.limit_counts == "address"
    v1 = None if settings.rate_limit is None else CallLimit(settings.rate_limit, by_address=by_address)
    v2 = v1
    if settings.v2_rate_limit != "shared":
        v2 = (
            None
            if settings.v2_rate_limit is None
            else CallLimit(settings.v2_rate_limit, by_address=by_address)
        )
    marketo = settings.marketo_rate_limit
    return {"v1": v1, "v2": v2, "marketo": None if marketo is None else CallLimit(marketo, 20.0)}
