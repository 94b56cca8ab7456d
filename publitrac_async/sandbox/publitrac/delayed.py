"""Leads that v2 accepted and processes a little later (PUBLITRAC API V2, Synchronize a lead).

Nothing runs in the background: each access to the account first processes the leads that are due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from publitrac_async.sandbox.clock import SandboxClock
from publitrac_async.sandbox.database import Database
from publitrac_async.sandbox.publitrac.fields import FIELD_BY_NAME
from publitrac_async.sandbox.publitrac.sync import LeadSync
from publitrac_async.sandbox.publitrac.validation import LeadInput, LeadRefusedError


class DelayedQueue:
    """The leads that `delayedSync` accepted, and the rejections of those that are not valid."""

    def __init__(
        self,
        database: Database,
        clock: SandboxClock,
        sync: LeadSync,
        *,
        delay: float,
        ignore_case: bool,
    ) -> None:
        """Create the tables if the database has none.

        Args:
            database: database of the queue.
            clock: clock of the service.
            sync: writer of leads.
            delay: seconds between acceptance and processing.
            ignore_case: True if `Email` counts as `email`.
        """
        self._database = database
        self._clock = clock
        self._sync = sync
        self._delay = delay
        self._native = {name.lower() if ignore_case else name: name for name in FIELD_BY_NAME}
        self._ignore_case = ignore_case
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_delayed "
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, document TEXT NOT NULL)"
        )
        database.execute("CREATE INDEX IF NOT EXISTS publitrac_delayed_due ON publitrac_delayed (due, id)")
        database.execute(
            "CREATE TABLE IF NOT EXISTS publitrac_rejections "
            "(id INTEGER PRIMARY KEY, email TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL)"
        )
        # Times of an earlier run are meaningless, so its queued leads get a new delay.
        database.execute("UPDATE publitrac_delayed SET due = ?", [clock.monotonic() + delay])

    def accept(self, document: Mapping[str, Any]) -> None:
        """Queue a well-formed document."""
        self._database.execute(
            "INSERT INTO publitrac_delayed (due, document) VALUES (?, ?)",
            [self._clock.monotonic() + self._delay, json.dumps(document, ensure_ascii=False)],
        )

    def process_due(self) -> int:
        """Process the leads that are due and return their number."""
        return self._process(self._clock.monotonic())

    def process_all(self) -> int:
        """Process the whole queue, due or not, and return its length."""
        return self._process(float("inf"))

    def pending(self) -> int:
        """Return the number of queued leads."""
        count: int = self._database.execute("SELECT count(*) FROM publitrac_delayed").fetchone()[0]
        return count

    def waiting(self, most: int) -> list[dict[str, Any]]:
        """Return the leads that are due next: `email`, `due` in seconds from now, and the `document`.

        Args:
            most: the number of leads to return.
        """
        rows = self._database.execute(
            "SELECT due, document FROM publitrac_delayed ORDER BY due, id LIMIT ?", [most]
        ).fetchall()
        now = self._clock.monotonic()
        return [{"due": max(due - now, 0.0), "document": json.loads(document)} for due, document in rows]

    def rejections(self) -> list[dict[str, str]]:
        """Return the rejected leads: e-mail, reason and time of each."""
        rows = self._database.execute("SELECT email, reason, at FROM publitrac_rejections ORDER BY id")
        return [{"email": email, "reason": reason, "at": at} for email, reason, at in rows]

    def clear(self) -> None:
        """Delete queue and rejections."""
        self._database.execute("DELETE FROM publitrac_delayed")
        self._database.execute("DELETE FROM publitrac_rejections")

    def _process(self, until: float) -> int:
        rows = self._database.execute(
            "SELECT id, due, document FROM publitrac_delayed WHERE due <= ? ORDER BY due, id", [until]
        ).fetchall()
        if not rows:
            return 0
        now = self._clock.monotonic()
        with self._database.transaction():
            for row_id, due, document in rows:
                self._process_one(json.loads(document), at=self._clock.text(max(now - due, 0.0)))
                self._database.execute("DELETE FROM publitrac_delayed WHERE id = ?", [row_id])
        return len(rows)

    def _process_one(self, document: Mapping[str, Any], *, at: str) -> None:
        email = ""
        try:
            lead = self._lead(document)
            email = lead.email
            self._sync.sync(lead, at=at)
        except _UnusableError as error:
            self._reject(email, str(error), at)
        except LeadRefusedError as error:
            self._reject(email, "; ".join(problem.text for problem in error.problems), at)

    def _reject(self, email: str, reason: str, at: str) -> None:
        self._database.execute(
            "INSERT INTO publitrac_rejections (email, reason, at) VALUES (?, ?, ?)", [email, reason, at]
        )

    def _lead(self, document: Mapping[str, Any]) -> LeadInput:
        native = document.get("leadInfo")
        custom = document.get("leadCustomField") or {}
        if not isinstance(native, dict):
            raise _UnusableError("leadInfo is required")
        if not isinstance(custom, dict):
            raise _UnusableError("leadCustomField must be an object")
        values: dict[str, str] = {}
        unknown: list[str] = []
        for sent, value in native.items():
            name = self._native.get(sent.lower() if self._ignore_case else sent)
            if name is None:
                unknown.append(sent)
            elif FIELD_BY_NAME[name].writable:
                values[name] = _text(name, value)
        return LeadInput(values, {name: _text(name, value) for name, value in custom.items()}, tuple(unknown))


class _UnusableError(Exception):
    """A document that is not a lead."""


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise _UnusableError(f"{name} must be a string, a number or a boolean")
