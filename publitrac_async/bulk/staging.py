"""Staging: the rows of one run, on disk instead of in memory."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from publitrac_async.bulk.rows import FINAL, Line, Outcome, StagedRow, State
from publitrac_async.bulk.state.database import Database, Statement

#: A separate table for contents makes a scan of the rows quick.
_TABLES: Final = """
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, line INTEGER NOT NULL, state TEXT NOT NULL, key TEXT, content_hash BLOB,
    code TEXT, reason TEXT, kind TEXT, verified TEXT, differing TEXT, opt_outs TEXT, position
);
CREATE TABLE contents (number INTEGER PRIMARY KEY, content BLOB, fields BLOB NOT NULL)
"""
_PAGE: Final = 512
_KEYS_PAGE: Final = 5000
SUPERSEDED: Final = "superseded by line "
_ADD: Final = (
    "INSERT INTO rows (number, line, state, key, content_hash, code, reason, kind, opt_outs, position)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_CONTENT: Final = "INSERT INTO contents VALUES (?, ?, ?)"
_INDEX: Final = "CREATE INDEX IF NOT EXISTS by_key ON rows (key, number, line) WHERE key IS NOT NULL"
_SKIP_SUPERSEDED: Final = (
    "UPDATE rows SET state = 'skipped', reason = ? || latest.line FROM"
    " (SELECT key, max(number) AS number, line FROM rows WHERE key IS NOT NULL"
    " GROUP BY key HAVING count(*) > 1) AS latest"
    " WHERE latest.key = rows.key AND rows.key IS NOT NULL AND rows.number < latest.number"
)
#: Last row of each key of which an earlier row has an opt-out, and the opt-outs of all of them.
_OPT_OUTS: Final = (
    "SELECT max(number), group_concat(opt_outs, ' ') FROM rows WHERE key IS NOT NULL"
    " GROUP BY key HAVING count(*) > 1 AND count(opt_outs) > 0"
)
_REPLACE: Final = (
    "UPDATE rows SET content_hash = ?, opt_outs = ?, state = ?, key = ?, code = ?, reason = ?, kind = ?"
    " WHERE number = ?"
)
_UNVERIFIED: Final = "state IN ('ok', 'accepted') AND verified IS NOT 'processed'"
_SET_OUTCOME: Final = (
    "UPDATE rows SET state = ?, code = ?, reason = ?, kind = ?"
    " WHERE number IN (SELECT value FROM json_each(?))"
)


class Staging:
    """The rows of a run, in a temporary file that ends with the process.

    All rows are staged before the first is sent: only then the last of several rows with one key is known,
    and the number of rows. So no key is in two calls at once, and a source may change, or its connection end,
    during a run of hours.
    """

    def __init__(self) -> None:
        self._database = Database(None)
        self._has_opt_outs = False

    async def open(self) -> None:
        """Create the file."""
        await self._database.open(_TABLES)

    async def aclose(self) -> None:
        """Write pending changes and delete the file."""
        await self._database.aclose()

    async def flush(self) -> None:
        """Wait until all outcomes are written."""
        await self._database.write()

    async def add(self, rows: Sequence[StagedRow]) -> None:
        """Add rows."""
        self._has_opt_outs = self._has_opt_outs or any(row.opt_outs for row in rows)
        dumps, protocol = pickle.dumps, pickle.HIGHEST_PROTOCOL
        contents = [(row.number, dumps(row.content, protocol), dumps(row.fields, protocol)) for row in rows]
        await self._database.write((_ADD, map(_parameters, rows)), (_ADD_CONTENT, contents))

    async def skip_superseded(self) -> None:
        """Keep the last row of each key, skip the others."""
        await self._database.write((_INDEX, [()]), (_SKIP_SUPERSEDED, [(SUPERSEDED,)]))

    async def opt_outs(self) -> list[tuple[StagedRow, tuple[str, ...]]]:
        """Return the last row of each key that lacks opt-outs of earlier rows, and the opt-outs of all."""
        if not self._has_opt_outs:
            return []
        found = []
        for number, text in await self._database.read(_OPT_OUTS):
            (row,) = await self._with_fields("number = ?", (number,), 1)
            of_all = tuple(sorted(set(text.split())))
            if set(of_all) != set(row.opt_outs):
                found.append((row, of_all))
        return found

    async def replace(self, row: StagedRow) -> None:
        """Replace the content of a row."""
        outcome = row.outcome
        values = (
            *(row.content_hash, " ".join(row.opt_outs), str(outcome.state), row.key),
            *(outcome.code, outcome.reason, outcome.kind, row.number),
        )
        content = (_dump(row.content), row.number)
        await self._database.write(
            (_REPLACE, [values]), ("UPDATE contents SET content = ? WHERE number = ?", [content])
        )

    async def pending_keys(self) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        """Iterate over pages of pending rows: number, key and content hash of each."""
        after = 0
        while page := await self._database.read(
            "SELECT number, key, content_hash FROM rows WHERE number > ? AND state = 'pending'"
            " ORDER BY number LIMIT ?",
            (after, _KEYS_PAGE),
        ):
            yield page
            after = page[-1][0]

    def set_outcomes(self, rows: Sequence[tuple[int, Outcome]]) -> asyncio.Future[None]:
        """Set the outcomes of rows, by number. They are written whether or not a caller awaits the future."""
        return self._database.post(_outcomes, rows)

    async def pending(self, after: int) -> list[StagedRow]:
        """Return the next rows to be sent, with their contents; empty at the end.

        Args:
            after: number of the row before them.
        """
        rows = await self._database.read(
            "SELECT number, key, content FROM rows JOIN contents USING (number)"
            " WHERE number > ? AND state = 'pending' ORDER BY number LIMIT ?",
            (after, _PAGE),
        )
        return [StagedRow(number=number, key=key, content=_load(content)) for number, key, content in rows]

    async def between(self, first: int, last: int) -> list[StagedRow]:
        """Return the rows from number `first` to `last`, without contents and fields."""
        rows = await self._database.read(
            "SELECT number, line, position, state, key, content_hash, opt_outs FROM rows"
            " WHERE number BETWEEN ? AND ?"
            " ORDER BY number",
            (first, last),
        )
        return [
            StagedRow(
                number=number,
                line=line,
                position=position,
                key=key,
                content_hash=content_hash,
                opt_outs=tuple((opt_outs or "").split()),
                outcome=Outcome(State(state)),
            )
            for number, line, position, state, key, content_hash, opt_outs in rows
        ]

    async def counts(self) -> dict[State, int]:
        """Count the rows in each state."""
        rows = await self._database.read("SELECT state, count(*) FROM rows GROUP BY state")
        return dict.fromkeys(FINAL, 0) | {State(state): count for state, count in rows}

    async def error_counts(self) -> dict[str, int]:
        """Count the rows with each kind of error."""
        rows = await self._database.read(
            "SELECT kind, count(*) FROM rows WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1"
        )
        return dict(rows)

    async def pending_reasons(self, limit: int = 5) -> dict[str, int]:
        """Count the rows that are left, by the error of their last call; most frequent first."""
        rows = await self._database.read(
            "SELECT kind || ': ' || reason, count(*) FROM rows WHERE state IN ('pending', 'retry')"
            " AND kind IS NOT NULL AND reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            (limit,),
        )
        return dict(rows)

    async def has_undecoded(self) -> bool:
        """Return True if rows were rejected because of their encoding."""
        return bool(await self._database.read("SELECT 1 FROM rows WHERE reason LIKE 'not utf-8%' LIMIT 1"))

    async def reasons(self, limit: int, examples: int = 3) -> list[tuple[State, str, int, tuple[Line, ...]]]:
        """Group rejected, unknown and pending rows by reason: state, reason, count and first lines."""
        found = []
        for state, reason, count in await self._database.read(
            "SELECT state, reason, count(*) FROM rows WHERE reason IS NOT NULL"
            " AND state IN ('rejected', 'unknown', 'pending') GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT ?",
            (limit,),
        ):
            lines = await self._database.read(
                "SELECT line FROM rows WHERE state = ? AND reason = ? ORDER BY number LIMIT ?",
                (state, reason, examples),
            )
            found.append((State(state), reason, count, tuple(line for (line,) in lines)))
        return found

    async def superseded(self, limit: int) -> tuple[int, list[StagedRow]]:
        """Count the rows that a later row supersedes, and return the first of them."""
        condition, pattern = "state = 'skipped' AND reason LIKE ?", (f"{SUPERSEDED}%",)
        rows = await self._database.read(f"SELECT count(*) FROM rows WHERE {condition}", pattern)  # noqa: S608  (constant)
        return int(rows[0][0]), await self._with_fields(condition, pattern, limit)

    async def first(self, *states: State, limit: int) -> list[StagedRow]:
        """Return the first rows in any of `states`, with their fields."""
        return await self._with_fields(*_in(0, states), limit)

    async def in_states(self, *states: State) -> AsyncIterator[StagedRow]:
        """Iterate over the rows in any of `states`, with their fields, in the order of the source."""
        after = 0
        while page := await self._with_fields(*_in(after, states), _PAGE):
            for row in page:
                yield row
            after = page[-1].number

    async def unverified(self, after: int) -> list[StagedRow]:
        """Return the next rows to be verified, with their fields; empty at the end.

        Args:
            after: number of the row before them.
        """
        rows = await self._database.read(
            "SELECT number, key, fields FROM rows JOIN contents USING (number)"  # noqa: S608  (constant)
            f" WHERE number > ? AND {_UNVERIFIED} ORDER BY number LIMIT ?",
            (after, _PAGE),
        )
        return [StagedRow(number=number, key=key, fields=_load(fields)) for number, key, fields in rows]

    async def unverified_by_key(self, keys: Sequence[str]) -> list[StagedRow]:
        """Return the rows to be verified that have one of `keys`, with their fields."""
        rows = await self._database.read(
            "SELECT number, key, fields FROM rows JOIN contents USING (number)"  # noqa: S608  (constant)
            f" WHERE key IN (SELECT value FROM json_each(?)) AND key IS NOT NULL AND {_UNVERIFIED}",
            (json.dumps(keys),),
        )
        return [StagedRow(number=number, key=key, fields=_load(fields)) for number, key, fields in rows]

    async def unverified_count(self) -> int:
        """Count the rows that were not found as they were sent."""
        rows = await self._database.read(f"SELECT count(*) FROM rows WHERE {_UNVERIFIED}")  # noqa: S608  (constant)
        return int(rows[0][0])

    async def set_verified(self, rows: Sequence[tuple[int, str, Sequence[str]]]) -> None:
        """Set the results of a verification: number, result and differing fields of each row."""
        await self._database.write(
            (
                "UPDATE rows SET verified = ?, differing = ? WHERE number = ?",
                [(result, " ".join(names), number) for number, result, names in rows],
            )
        )

    async def verification(self) -> tuple[dict[str, int], list[tuple[Line, tuple[str, ...]]]]:
        """Count rows by their result, and return line and differing fields of the first deviations."""
        counts = await self._database.read(
            "SELECT coalesce(verified, 'missing'), count(*) FROM rows"
            " WHERE state IN ('ok', 'accepted') GROUP BY 1"
        )
        deviations = await self._database.read(
            f"SELECT line, coalesce(differing, '') FROM rows WHERE {_UNVERIFIED}"  # noqa: S608  (constant)
            " ORDER BY number LIMIT 100"
        )
        return dict(counts), [(line, tuple(names.split())) for line, names in deviations]

    async def _with_fields(self, condition: str, parameters: Sequence[Any], limit: int) -> list[StagedRow]:
        rows = await self._database.read(
            "SELECT number, line, fields, key, state, kind, reason, code, opt_outs"  # noqa: S608  (constants and marks)
            f" FROM rows JOIN contents USING (number) WHERE {condition} ORDER BY number LIMIT ?",
            (*parameters, limit),
        )
        return [
            StagedRow(
                number=number,
                line=line,
                fields=_load(fields),
                key=key,
                opt_outs=tuple((opt_outs or "").split()),
                outcome=Outcome(State(state), kind, reason, code),
            )
            for number, line, fields, key, state, kind, reason, code, opt_outs in rows
        ]


def _in(after: int, states: Sequence[State]) -> tuple[str, tuple[Any, ...]]:
    return f"number > ? AND state IN ({', '.join('?' * len(states))})", (after, *states)


def _outcomes(posts: list[Sequence[tuple[int, Outcome]]]) -> Iterable[Statement]:
    by_outcome: dict[Outcome, list[int]] = {}
    for rows in posts:
        for number, outcome in rows:
            by_outcome.setdefault(outcome, []).append(number)
    for each, numbers in by_outcome.items():
        state = State.PENDING if each.state is State.RETRY else each.state
        yield _SET_OUTCOME, [(str(state), each.code, each.reason, each.kind, json.dumps(numbers))]


def _parameters(row: StagedRow) -> tuple[Any, ...]:
    outcome = row.outcome
    return (
        row.number,
        row.line,
        outcome.state.value,
        row.key,
        row.content_hash,
        outcome.code,
        outcome.reason,
        outcome.kind,
        " ".join(row.opt_outs) or None,
        row.position,
    )


def _dump(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _load(value: bytes) -> Any:
    # Written by this process into a file that no other process can open.
    return pickle.loads(value)  # noqa: S301
