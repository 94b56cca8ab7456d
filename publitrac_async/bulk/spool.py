"""The rows of one run, on disk instead of in memory, and what is to be done with each."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk.database import Database, Statement
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.rows import FINAL, Row, State

#: In the temporary database that `Database` attaches: nothing of it outlives the process.
TABLES: Final = """
CREATE TABLE spool.rows (
    number INTEGER PRIMARY KEY, line INTEGER NOT NULL, state TEXT NOT NULL, key TEXT, payload BLOB,
    code TEXT, reason TEXT, kind TEXT, confirmed TEXT, differing TEXT,
    fields BLOB NOT NULL
);
CREATE TABLE spool.latest (key TEXT PRIMARY KEY, number INTEGER, line INTEGER) WITHOUT ROWID
"""
_PAGE: Final = 256
SUPERSEDED: Final = "superseded by line "
_STAGE: Final = (
    "INSERT INTO spool.rows (number, line, state, key, payload, code, reason, kind, fields)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIND_LATEST: Final = (
    "INSERT INTO spool.latest SELECT key, max(number), line FROM spool.rows"
    " WHERE state = 'pending' GROUP BY key"
)
_SKIP_SUPERSEDED: Final = (
    "UPDATE spool.rows SET state = 'skipped', reason = ? || latest.line FROM spool.latest"
    " WHERE latest.key = rows.key AND rows.number < latest.number AND rows.state = 'pending'"
)
_ENTER_NEW: Final = (
    "INSERT OR IGNORE INTO main.leads (key, state)"
    " SELECT key, 'pending' FROM spool.rows WHERE state = 'pending'"
)
_MAYBE_SENT: Final = "an earlier run may have sent it: look it up before you send it by hand"
UNCHANGED: Final = "unchanged since the service took it"


@frozen
class Staged:
    """A row that was looked at.

    Attributes:
        number: its place in the input, from 1.
        row: as it was read.
        key: business key, ``None`` if the row is rejected.
        payload: digest of what would be sent, ``None`` if the row is rejected.
        outcome: why it is rejected without a call, ``None`` otherwise.
    """

    number: int
    row: Row
    key: str | None = None
    payload: bytes | None = None
    outcome: Outcome | None = None


@frozen
class Account:
    """A row with what became of it, as reports want it."""

    number: int
    row: Row
    state: State
    key: str | None
    code: str | None
    reason: str | None


@frozen
class Unconfirmed:
    """A row that the service took and that was not found there yet as it was sent."""

    number: int
    key: str
    fields: Any


class Spool:
    """The rows of a run.

    They are all read before the first is sent: only then it is known which of several rows with one key is
    the last, and how many there are. So one key is never in two calls at once, and a source may change, or
    its connection end, while a run goes on for hours.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stage(self, rows: Sequence[Staged]) -> None:
        """Take rows in."""
        await self._database.write((_STAGE, [_staged(each) for each in rows]))

    async def plan(self, *, full: bool, retry_rejected: bool, repeatable: bool) -> None:
        """Decide about every row, by the other rows and by what the ledger knows.

        Args:
            full: send rows again that have not changed.
            retry_rejected: send rows again that were rejected and have not changed.
            repeatable: rows whose earlier outcome is unknown may be sent again.
        """
        statements: list[Statement] = [(_FIND_LATEST, [()]), (_SKIP_SUPERSEDED, [(SUPERSEDED,)])]
        if not repeatable:
            statements.append(
                _by_ledger(
                    f"state = 'unknown', reason = '{_MAYBE_SENT}', kind = 'OutcomeUnknown'",
                    "leads.state = 'unknown'",
                )
            )
        if not full:
            statements.append(
                _by_ledger(
                    f"state = 'skipped', reason = '{UNCHANGED}'",
                    "leads.acknowledged = rows.payload AND leads.state <> 'unknown'",
                )
            )
        if not (full or retry_rejected):
            statements.append(
                _by_ledger(
                    "state = 'rejected', code = leads.code, reason = leads.error, kind = 'rejected earlier'",
                    "leads.state = 'rejected' AND leads.payload = rows.payload",
                )
            )
        statements.append((_ENTER_NEW, [()]))
        await self._database.write(*statements)

    async def pending(self, after: int) -> list[Staged]:
        """The next rows to be sent, behind number `after`; none when there are no more."""
        rows = await self._database.read(
            "SELECT number, line, fields, key, payload FROM spool.rows WHERE number > ? AND state = 'pending'"
            " ORDER BY number LIMIT ?",
            (after, _PAGE),
        )
        return [
            Staged(number, Row(line, _load(fields)), key, payload)
            for number, line, fields, key, payload in rows
        ]

    async def counts(self) -> dict[State, int]:
        """How many rows are in each state."""
        rows = await self._database.read("SELECT state, count(*) FROM spool.rows GROUP BY state")
        return dict.fromkeys(FINAL, 0) | {State(state): count for state, count in rows}

    async def kinds(self) -> dict[str, int]:
        """How many rows have each kind of error."""
        rows = await self._database.read(
            "SELECT kind, count(*) FROM spool.rows WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1"
        )
        return dict(rows)

    async def superseded(self, limit: int) -> tuple[int, list[Account]]:
        """How many rows were skipped because a later one has the same key, and the first of them."""
        condition, pattern = "state = 'skipped' AND reason LIKE ?", (f"{SUPERSEDED}%",)
        rows = await self._database.read(f"SELECT count(*) FROM spool.rows WHERE {condition}", pattern)  # noqa: S608  (constant)
        return int(rows[0][0]), await self._accounts(condition, pattern, limit)

    async def first(self, *states: State, limit: int) -> list[Account]:
        """The first rows in any of `states`."""
        return await self._accounts(*_in(0, states), limit)

    async def accounts(self, *states: State) -> AsyncIterator[Account]:
        """All rows in any of `states`, in the order of the input."""
        after = 0
        while page := await self._accounts(*_in(after, states), _PAGE):
            for account in page:
                yield account
            after = page[-1].number

    async def _accounts(self, condition: str, parameters: Sequence[Any], limit: int) -> list[Account]:
        rows = await self._database.read(
            "SELECT number, line, fields, state, key, code, reason FROM spool.rows"  # noqa: S608  (constants and marks)
            f" WHERE {condition} ORDER BY number LIMIT ?",
            (*parameters, limit),
        )
        return [
            Account(number, Row(line, _load(fields)), State(state), key, code, reason)
            for number, line, fields, state, key, code, reason in rows
        ]


def _in(after: int, states: Sequence[State]) -> tuple[str, tuple[Any, ...]]:
    return f"number > ? AND state IN ({', '.join('?' * len(states))})", (after, *states)


def row_settlement(rows: Sequence[tuple[int, Outcome]]) -> Statement:
    """The statement that notes how the sending of rows ended."""
    return (
        "UPDATE spool.rows SET state = ?, code = ?, reason = ?, kind = ? WHERE number = ?",
        [(_reported(each.state), each.code, each.reason, each.kind, number) for number, each in rows],
    )


_TO_CONFIRM: Final = "rows.state IN ('ok', 'accepted') AND rows.confirmed IS NOT 'processed'"


async def unconfirmed(database: Database, after: int) -> list[Unconfirmed]:
    """The next rows to be looked for, behind number `after`."""
    rows = await database.read(
        f"SELECT number, key, fields FROM spool.rows WHERE number > ? AND {_TO_CONFIRM}"  # noqa: S608  (constant)
        " ORDER BY number LIMIT ?",
        (after, _PAGE),
    )
    return [Unconfirmed(number, key, _load(fields)) for number, key, fields in rows]


async def unconfirmed_by_key(database: Database, keys: Sequence[str]) -> list[Unconfirmed]:
    """The rows to be looked for that have one of `keys`."""
    marks = ", ".join("?" * len(keys))
    rows = await database.read(
        "SELECT rows.number, rows.key, rows.fields FROM spool.latest"  # noqa: S608  (marks and a constant)
        f" JOIN spool.rows ON rows.number = latest.number WHERE latest.key IN ({marks}) AND {_TO_CONFIRM}",
        keys,
    )
    return [Unconfirmed(number, key, _load(fields)) for number, key, fields in rows]


def confirmed(rows: Sequence[tuple[int, str, Sequence[str]]]) -> Statement:
    """The statement that notes how rows were found: number, state and fields that differ."""
    return (
        "UPDATE spool.rows SET confirmed = ?, differing = ? WHERE number = ?",
        [(state, " ".join(names), number) for number, state, names in rows],
    )


async def confirmation(database: Database) -> tuple[dict[str, int], list[tuple[int, tuple[str, ...]]]]:
    """Rows by how they were found, and the first that were not found as they were sent: line and fields."""
    counts = await database.read(
        "SELECT coalesce(confirmed, 'missing'), count(*) FROM spool.rows"
        " WHERE state IN ('ok', 'accepted') GROUP BY 1"
    )
    deviations = await database.read(
        f"SELECT line, coalesce(differing, '') FROM spool.rows WHERE {_TO_CONFIRM}"  # noqa: S608  (constant)
        " ORDER BY number LIMIT 100"
    )
    return dict(counts), [(line, tuple(names.split())) for line, names in deviations]


def _reported(state: State) -> State:
    return State.PENDING if state is State.RETRY else state


def _staged(each: Staged) -> tuple[Any, ...]:
    outcome = each.outcome or Outcome(State.PENDING)
    fields = pickle.dumps(each.row.fields, pickle.HIGHEST_PROTOCOL)
    return (
        *(each.number, each.row.line, outcome.state, each.key, each.payload),
        *(outcome.code, outcome.reason, outcome.kind, fields),
    )


def _load(fields: bytes) -> Any:
    # Written by this process into a file that no other can open.
    return pickle.loads(fields)  # noqa: S301


def _by_ledger(change: str, condition: str) -> Statement:
    sql = (
        f"UPDATE spool.rows SET {change} FROM main.leads"  # noqa: S608  (constant texts of this file)
        f" WHERE leads.key = rows.key AND rows.state = 'pending' AND {condition}"
    )
    return sql, [()]
