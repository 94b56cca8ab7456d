"""The rows of one run, on disk instead of in memory, and what is to be done with each."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk.database import Database, Statement
from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.rows import FINAL, Row, State

#: In the temporary database that `Database` attaches: nothing of it outlives the process. What rows hold
#: stands apart, so that they are looked through quickly.
TABLES: Final = """
CREATE TABLE spool.rows (
    number INTEGER PRIMARY KEY, line INTEGER NOT NULL, state TEXT NOT NULL, key TEXT, payload BLOB,
    code TEXT, reason TEXT, kind TEXT, confirmed TEXT, differing TEXT, position
);
CREATE TABLE spool.contents (number INTEGER PRIMARY KEY, record BLOB, fields BLOB NOT NULL)
"""
_PAGE: Final = 512
_PLANNED_AT_ONCE: Final = 5000
_TO_SEND: Final = Outcome(State.PENDING)
SUPERSEDED: Final = "superseded by line "
_STAGE: Final = (
    "INSERT INTO spool.rows (number, line, state, key, payload, code, reason, kind, position)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STAGE_CONTENT: Final = "INSERT INTO spool.contents VALUES (?, ?, ?)"
_INDEX: Final = "CREATE INDEX IF NOT EXISTS spool.by_key ON rows (key, number, line) WHERE key IS NOT NULL"
_SKIP_SUPERSEDED: Final = (
    "UPDATE spool.rows SET state = 'skipped', reason = ? || latest.line FROM"
    " (SELECT key, max(number) AS number, line FROM spool.rows WHERE key IS NOT NULL"
    " GROUP BY key HAVING count(*) > 1) AS latest"
    " WHERE latest.key = rows.key AND rows.key IS NOT NULL AND rows.number < latest.number"
)
_TO_CONFIRM: Final = "state IN ('ok', 'accepted') AND confirmed IS NOT 'processed'"
_NOTE: Final = (
    "UPDATE spool.rows SET state = ?, code = ?, reason = ?, kind = ?"
    " WHERE number IN (SELECT value FROM json_each(?))"
)


@frozen
class Staged:
    """A row that was looked at.

    Attributes:
        number: its place in the input, from 1.
        row: as it was read.
        key: business key, ``None`` if the row is rejected.
        payload: digest of what would be sent, ``None`` if the row is rejected.
        record: what would be sent, ``None`` if the row is rejected.
        outcome: why it is rejected without a call, ``None`` otherwise.
    """

    number: int
    row: Row
    key: str | None = None
    payload: bytes | None = None
    record: Any = None
    outcome: Outcome | None = None


@frozen
class Planned:
    """A row of which it is known what is to be done with it."""

    number: int
    line: int
    position: int | str | None
    state: State
    key: str | None
    payload: bytes | None


@frozen
class Pending:
    """A row that is to be sent."""

    number: int
    key: str
    record: Any


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
        contents = [(each.number, _dump(each.record), _dump(each.row.fields)) for each in rows]
        await self._database.write((_STAGE, map(_staged, rows)), (_STAGE_CONTENT, contents))

    async def supersede(self) -> None:
        """Skip rows behind which another one with the same key comes."""
        await self._database.write((_INDEX, [()]), (_SKIP_SUPERSEDED, [(SUPERSEDED,)]))

    async def planned(self) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        """Number, key and payload of all rows that are pending, in portions."""
        after = 0
        while portion := await self._database.read(
            "SELECT number, key, payload FROM spool.rows WHERE number > ? AND state = 'pending'"
            " ORDER BY number LIMIT ?",
            (after, _PLANNED_AT_ONCE),
        ):
            yield portion
            after = portion[-1][0]

    def note(self, rows: Sequence[tuple[int, Outcome]]) -> asyncio.Future[None]:
        """Note what became of rows. It is written even if nobody waits for it."""
        return self._database.post(_notes, rows)

    async def pending(self, after: int) -> list[Pending]:
        """The next rows to be sent, behind number `after`; none when there are no more."""
        rows = await self._database.read(
            "SELECT number, key, record FROM spool.rows JOIN spool.contents USING (number)"
            " WHERE number > ? AND state = 'pending' ORDER BY number LIMIT ?",
            (after, _PAGE),
        )
        return [Pending(number, key, _load(record)) for number, key, record in rows]

    async def planned_between(self, first: int, last: int) -> list[Planned]:
        """The rows from number `first` to `last`, without what they hold."""
        rows = await self._database.read(
            "SELECT number, line, position, state, key, payload FROM spool.rows WHERE number BETWEEN ? AND ?"
            " ORDER BY number",
            (first, last),
        )
        return [
            Planned(number, line, position, State(state), key, payload)
            for number, line, position, state, key, payload in rows
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

    async def unconfirmed(self, after: int) -> list[Unconfirmed]:
        """The next rows to be looked for at the service, behind number `after`."""
        rows = await self._database.read(
            "SELECT number, key, fields FROM spool.rows JOIN spool.contents USING (number)"  # noqa: S608  (constant)
            f" WHERE number > ? AND {_TO_CONFIRM} ORDER BY number LIMIT ?",
            (after, _PAGE),
        )
        return [Unconfirmed(number, key, _load(fields)) for number, key, fields in rows]

    async def unconfirmed_by_key(self, keys: Sequence[str]) -> list[Unconfirmed]:
        """The rows to be looked for that have one of `keys`."""
        rows = await self._database.read(
            "SELECT number, key, fields FROM spool.rows JOIN spool.contents USING (number)"  # noqa: S608  (constant)
            f" WHERE key IN (SELECT value FROM json_each(?)) AND key IS NOT NULL AND {_TO_CONFIRM}",
            (json.dumps(keys),),
        )
        return [Unconfirmed(number, key, _load(fields)) for number, key, fields in rows]

    async def left(self) -> int:
        """Rows that were not found as they were sent."""
        rows = await self._database.read(f"SELECT count(*) FROM spool.rows WHERE {_TO_CONFIRM}")  # noqa: S608  (constant)
        return int(rows[0][0])

    async def confirm(self, rows: Sequence[tuple[int, str, Sequence[str]]]) -> None:
        """Note how rows were found: number, state and fields that differ."""
        await self._database.write(
            (
                "UPDATE spool.rows SET confirmed = ?, differing = ? WHERE number = ?",
                [(state, " ".join(names), number) for number, state, names in rows],
            )
        )

    async def confirmation(self) -> tuple[dict[str, int], list[tuple[int, tuple[str, ...]]]]:
        """Rows by how they were found, and the first not found as they were sent: line and fields."""
        counts = await self._database.read(
            "SELECT coalesce(confirmed, 'missing'), count(*) FROM spool.rows"
            " WHERE state IN ('ok', 'accepted') GROUP BY 1"
        )
        deviations = await self._database.read(
            f"SELECT line, coalesce(differing, '') FROM spool.rows WHERE {_TO_CONFIRM}"  # noqa: S608  (constant)
            " ORDER BY number LIMIT 100"
        )
        return dict(counts), [(line, tuple(names.split())) for line, names in deviations]

    async def _accounts(self, condition: str, parameters: Sequence[Any], limit: int) -> list[Account]:
        rows = await self._database.read(
            "SELECT number, line, fields, state, key, code, reason"  # noqa: S608  (constants and marks)
            f" FROM spool.rows JOIN spool.contents USING (number) WHERE {condition} ORDER BY number LIMIT ?",
            (*parameters, limit),
        )
        return [
            Account(number, Row(line, _load(fields)), State(state), key, code, reason)
            for number, line, fields, state, key, code, reason in rows
        ]


def _in(after: int, states: Sequence[State]) -> tuple[str, tuple[Any, ...]]:
    return f"number > ? AND state IN ({', '.join('?' * len(states))})", (after, *states)


def _notes(posts: list[Sequence[tuple[int, Outcome]]]) -> Iterable[Statement]:
    by_outcome: dict[Outcome, list[int]] = {}
    for rows in posts:
        for number, outcome in rows:
            by_outcome.setdefault(outcome, []).append(number)
    for each, numbers in by_outcome.items():
        state = State.PENDING if each.state is State.RETRY else each.state
        yield _NOTE, [(str(state), each.code, each.reason, each.kind, json.dumps(numbers))]


def _staged(each: Staged) -> tuple[Any, ...]:
    outcome = each.outcome or _TO_SEND
    return (
        *(each.number, each.row.line, str(outcome.state), each.key, each.payload),
        *(outcome.code, outcome.reason, outcome.kind, each.row.position),
    )


def _dump(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _load(value: bytes) -> Any:
    # Written by this process into a file that no other can open.
    return pickle.loads(value)  # noqa: S301
