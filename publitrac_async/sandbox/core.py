"""The sandbox without its server: the parts, and the operations that Python and HTTP share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.app import SandboxApp
from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.control import Control
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.faults import Fault, FaultQueue
from publitrac_async.sandbox.journal import Journal
from publitrac_async.sandbox.limit import SlidingWindow
from publitrac_async.sandbox.marketo import Marketo, MarketoAccount, MarketoIdentity
from publitrac_async.sandbox.message import Api, Vendor
from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.publitrac_v1 import PublitracV1
from publitrac_async.sandbox.publitrac_v2 import PublitracV2
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.vitec import Vitec, VitecAccount


class SandboxCore:
    """Emulated vendors, their clock, journal and faults, and the ASGI application in front of them.

    A further vendor is one more entry in `vendors` and its APIs in front of `Control`.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        """Open the database and assemble the parts."""
        self.settings = settings
        self.clock: SandboxClock = SandboxClock()
        self.journal: Journal = Journal()
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
        self._windows: list[SlidingWindow] = []
        window = self._window(settings.rate_limit)
        apis: list[Api] = [
            PublitracV1(self.publitrac, settings, window),
            PublitracV2(self.publitrac, settings, window),
            Vitec(self.vitec, settings),
            MarketoIdentity(self.marketo, settings),
            Marketo(self.marketo, settings, self._window(settings.marketo_rate_limit, 20.0)),
            Control(self),
        ]
        self.app: SandboxApp = SandboxApp(
            apis=apis,
            settings=settings,
            clock=self.clock,
            journal=self.journal,
            faults=self.faults,
            database=self.database,
            revoke_tokens=self.revoke_tokens,
        )

    def _window(self, calls: int | None, seconds: float = 1.0) -> SlidingWindow | None:
        if calls is None:
            return None
        self._windows.append(SlidingWindow(calls, seconds))
        return self._windows[-1]

    def reset(self) -> None:
        """Return to the state of a new sandbox: records, queue, tokens, clock, faults, journal, limit."""
        for vendor in self.vendors.values():
            vendor.reset()
        for window in self._windows:
            window.clear()
        self.clock.reset()
        self.faults.clear()
        self.journal.clear()

    def inject(self, fault: Fault) -> None:
        """Add a fault behind those in force."""
        self.faults.inject(fault)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self.faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: tokens age, queued leads become due, dates move on."""
        self.clock.advance(seconds)

    def revoke_tokens(self) -> None:
        """Make every token stale that was issued so far."""
        for vendor in self.vendors.values():
            vendor.revoke_tokens()

    def process_now(self) -> int:
        """Process everything that waits and return how much that was."""
        return sum(vendor.process_now() for vendor in self.vendors.values())

    def contents(self, vendor: str = "publitrac") -> dict[str, Any]:
        """Return what a vendor holds now, in its own names."""
        return self.vendors[vendor].contents()
