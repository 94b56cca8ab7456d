"""Staging: the rows of one run, on disk rather than in memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from publitrac_async.bulk.rows import FINAL, Block, Line, Outcome, StagedRow, State
from publitrac_async.bulk.state.database import Database

#: Rows per block. They are pickled together: one by one takes several times as long.
BLOCK: Final = 100
#: Rows to add or read at once.
PAGE: Final = 5 * BLOCK
_KEYS_PAGE: Final = 50 * BLOCK
#: Rows are inserted with their keys only: each further value that Python binds takes half a microsecond.
_TABLES: Final = """
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, key TEXT, state TEXT NOT NULL DEFAULT 'pending',
    kind TEXT, code TEXT, reason TEXT, message TEXT, opt_outs TEXT, verified TEXT, differing TEXT,
    content_hash BLOB, content BLOB  -- pickled; they replace those in the block
);
CREATE TABLE blocks (
    block INTEGER PRIMARY KEY, lines TEXT NOT NULL, hashes BLOB NOT NULL, positions BLOB NOT NULL,
    contents BLOB NOT NULL, fields BLOB NOT NULL
)
"""
SUPERSEDED: Final = "superseded by line "
_ADD: Final = "INSERT INTO rows (number, key) SELECT ? + key, value FROM json_each(?)"
_ADD_BLOCK: Final = "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)"
_SET_OPT_OUTS: Final = "UPDATE rows SET opt_outs = ? WHERE number = ?"
_INDEX: Final = "CREATE INDEX IF NOT EXISTS by_key ON rows (key, number) WHERE key IS NOT NULL"
_LINE: Final = (
    f"(SELECT json_extract(lines, '$[' || ((number - 1) % {BLOCK}) || ']') FROM blocks"  # noqa: S608  (constant)
    f" WHERE block = (number - 1) / {BLOCK})"
)
_SKIP_SUPERSEDED: Final = (
    f"UPDATE rows SET state = 'skipped', reason = ? || {_LINE.replace('number', 'latest.number')} FROM"  # noqa: S608  (constant)
    " (SELECT key, max(number) AS number FROM rows WHERE key IS NOT NULL"
    " GROUP BY key HAVING count(*) > 1) AS latest"
    " WHERE latest.key = rows.key AND rows.key IS NOT NULL AND rows.number < latest.number"
)
#: Last row of each key that several rows share, and the opt-outs of all these rows, if there are any.
_OPT_OUTS: Final = (
    "SELECT max(number), group_concat(opt_outs, ' ') FROM rows WHERE key IS NOT NULL"
    " GROUP BY key HAVING count(*) > 1 AND count(opt_outs) > 0 ORDER BY 1"
)
_REPLACE: Final = (
    "UPDATE rows SET content = ?, content_hash = ?, opt_outs = ?, state = ?, key = ?, code = ?, reason = ?,"
    " kind = ? WHERE number = ?"
)
_BY_KEY: Final = "key IN (SELECT value FROM json_each(?)) AND key IS NOT NULL"
_UNVERIFIED: Final = "state IN ('ok', 'accepted') AND verified IS NOT 'processed'"
_SET_OUTCOME: Final = (
    "UPDATE rows SET state = ?, code = ?, reason = ?, kind = ?, message = ?"
    " WHERE number IN (SELECT value FROM json_each(?))"
)


class Staging:
    """The rows of a run, in a temporary file that does not outlive the process.

    All rows are staged before the first call, because only then are the last row of each key and the number
    of rows known. So no key is in two calls at once, and during a run of hours the source may change or its
    connection may close.
    """

    def __init__(self) -> None:
        self._database = Database(None)
        self._has_opt_outs = False
        #: Outcomes to be written before the next read.
        self._outcomes: dict[int, Outcome] = {}

    async def open(self) -> None:
        """Create the file."""
        await self._database.open(_TABLES)

    async def aclose(self) -> None:
        """Delete the file."""
        await self._database.aclose()

    async def add(self, blocks: Sequence[Block]) -> None:
        """Add the next blocks; all have `BLOCK` rows, except the last, which may have fewer."""
        opt_outs = [(" ".join(found), number) for block in blocks for number, found in block.opt_outs]
        self._has_opt_outs = self._has_opt_outs or bool(opt_outs)
        await self._database.write(
            (_ADD, [(block.first, json.dumps(block.keys)) for block in blocks]),
            (_ADD_BLOCK, map(_values, blocks)),
            (_SET_OPT_OUTS, opt_outs),
            (_SET_OUTCOME, _by_outcome(each for block in blocks for each in block.rejected)),
        )

    async def skip_superseded(self) -> None:
        """Keep the last row of each key, skip the others."""
        await self._database.write((_INDEX, [()]), (_SKIP_SUPERSEDED, [(SUPERSEDED,)]))

    async def opt_outs(self) -> list[tuple[StagedRow, tuple[str, ...]]]:
        """Return the last row of each key that lacks opt-outs of earlier rows, and the opt-outs of all."""
        if not self._has_opt_outs:
            return []
        found = []
        for number, text in await self._read(_OPT_OUTS):
            (row,) = await self._with_fields("number = ?", (number,), 1)
            of_all = tuple(sorted(set(text.split())))
            if set(of_all) != set(row.opt_outs):
                found.append((row, of_all))
        return found

    async def replace(self, row: StagedRow) -> None:
        """Replace the content of a row."""
        outcome = row.outcome
        values = (
            *(_dump(row.content), _dump(row.content_hash), " ".join(row.opt_outs), str(outcome.state)),
            *(row.key, outcome.code, outcome.reason, outcome.kind, row.number),
        )
        await self._database.write((_REPLACE, [values]))

    async def pending_keys(self) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        """Iterate over pages of pending rows: number, key and content hash of each."""
        after = 0
        while page := await self._pending(after, _KEYS_PAGE, "content_hash", "hashes"):
            yield page
            after = page[-1][0]

    def set_outcomes(self, rows: Iterable[tuple[int, Outcome]]) -> None:
        """Set the outcomes of rows, by number. They are written before the next read."""
        self._outcomes.update(rows)

    async def pending(self, after: int) -> list[StagedRow]:
        """Return the next rows to be sent, with their contents; empty at the end.

        Args:
            after: number of the row before the first of them.
        """
        page = await self._pending(after, PAGE, "content", "contents")
        return [StagedRow(number=number, key=key, content=content) for number, key, content in page]

    async def between(self, first: int, last: int) -> list[StagedRow]:
        """Return the rows from number `first` to `last`, without contents and fields."""
        rows = await self._read(
            "SELECT number, key, state, content_hash, opt_outs FROM rows WHERE number BETWEEN ? AND ?"
            " ORDER BY number",
            (first, last),
        )
        if not rows:
            return []
        lines = await self._blocks("lines", first, last)
        hashes = await self._blocks("hashes", first, last)
        positions = await self._blocks("positions", first, last)
        return [
            StagedRow(
                number=number,
                line=lines[number],
                position=positions[number],
                key=key,
                content_hash=_load(content_hash) if content_hash else hashes[number],
                opt_outs=tuple((opt_outs or "").split()),
                outcome=Outcome(State(state)),
            )
            for number, key, state, content_hash, opt_outs in rows
        ]

    async def counts(self) -> dict[State, int]:
        """Count the rows in each state."""
        rows = await self._read("SELECT state, count(*) FROM rows GROUP BY state")
        return dict.fromkeys(FINAL, 0) | {State(state): count for state, count in rows}

    async def error_counts(self) -> dict[str, int]:
        """Count the rows with each kind of error."""
        rows = await self._read(
            "SELECT kind, count(*) FROM rows WHERE kind IS NOT NULL GROUP BY kind ORDER BY 2 DESC, 1"
        )
        return dict(rows)

    async def pending_reasons(self, limit: int = 5) -> dict[str, int]:
        """Count pending rows by the error of their last call, the most frequent first."""
        rows = await self._read(
            "SELECT kind || ': ' || reason, count(*) FROM rows WHERE state IN ('pending', 'retry')"
            " AND kind IS NOT NULL AND reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            (limit,),
        )
        return dict(rows)

    async def has_undecoded(self) -> bool:
        """Return True if rows were rejected because of their encoding."""
        return bool(await self._read("SELECT 1 FROM rows WHERE reason LIKE 'not utf-8%' LIMIT 1"))

    async def reasons(self, limit: int, examples: int = 3) -> list[tuple[State, str, int, tuple[Line, ...]]]:
        """Group rejected, unknown and pending rows by reason: state, reason, count and first lines."""
        found = []
        for state, reason, count in await self._read(
            "SELECT state, reason, count(*) FROM rows WHERE reason IS NOT NULL"
            " AND state IN ('rejected', 'unknown', 'pending') GROUP BY 1, 2 ORDER BY 3 DESC, 2 LIMIT ?",
            (limit,),
        ):
            lines = await self._read(
                f"SELECT {_LINE} FROM rows WHERE state = ? AND reason = ?"  # noqa: S608  (constant)
                " ORDER BY number LIMIT ?",
                (state, reason, examples),
            )
            found.append((State(state), reason, count, tuple(line for (line,) in lines)))
        return found

    async def superseded(self, limit: int) -> tuple[int, list[StagedRow]]:
        """Count the rows that were superseded by a later row, and return the first of them."""
        condition, pattern = "state = 'skipped' AND reason LIKE ?", (f"{SUPERSEDED}%",)
        rows = await self._read(f"SELECT count(*) FROM rows WHERE {condition}", pattern)  # noqa: S608  (constant)
        return int(rows[0][0]), await self._with_fields(condition, pattern, limit)

    async def first(self, *states: State, limit: int) -> list[StagedRow]:
        """Return the first rows in any of `states`, with their fields."""
        return await self._with_fields(*_in(0, states), limit)

    async def in_states(self, *states: State) -> AsyncIterator[list[StagedRow]]:
        """Iterate over pages of the rows in any of `states`, with their fields, in order."""
        after = 0
        while page := await self._with_fields(*_in(after, states), PAGE):
            yield page
            after = page[-1].number

    async def unverified(self, after: int) -> list[StagedRow]:
        """Return the next rows to be verified, with their fields; empty at the end.

        Args:
            after: number of the row before the first of them.
        """
        return await self._with_fields(f"number > ? AND {_UNVERIFIED}", (after,), PAGE)

    async def unverified_by_key(self, keys: Sequence[str]) -> list[StagedRow]:
        """Return those rows to be verified whose key is one of `keys`, with their fields."""
        return await self._with_fields(f"{_BY_KEY} AND {_UNVERIFIED}", (json.dumps(keys),), -1)

    async def unverified_count(self) -> int:
        """Count the rows that have not been found as they were sent."""
        rows = await self._read(f"SELECT count(*) FROM rows WHERE {_UNVERIFIED}")  # noqa: S608  (constant)
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
        """Count rows by result, and return line and differing fields of the first deviations."""
        counts = await self._read(
            "SELECT coalesce(verified, 'missing'), count(*) FROM rows"
            " WHERE state IN ('ok', 'accepted') GROUP BY 1"
        )
        deviations = await self._read(
            f"SELECT {_LINE}, coalesce(differing, '') FROM rows WHERE {_UNVERIFIED}"  # noqa: S608  (constants)
            " ORDER BY number LIMIT 100"
        )
        return dict(counts), [(line, tuple(names.split())) for line, names in deviations]

    async def _pending(self, after: int, limit: int, column: str, values: str) -> list[tuple[int, str, Any]]:
        """Return number, key and one value of the next pending rows, from `column` or from their block."""
        rows = await self._read(
            f"SELECT number, key, {column} FROM rows WHERE number > ? AND state = 'pending'"  # noqa: S608  (constants)
            " ORDER BY number LIMIT ?",
            (after, limit),
        )
        if not rows:
            return []
        # Pending rows may be far apart: a page covers no more blocks than it would without gaps.
        last = (_block(rows[0][0]) + limit // BLOCK) * BLOCK
        of_blocks = await self._blocks(values, rows[0][0], last)
        return [
            (
                number,
                key,
                of_blocks[number] if own is None else _load(own),
            )
            for number, key, own in rows
            if number <= last
        ]

    async def _with_fields(self, condition: str, parameters: Sequence[Any], limit: int) -> list[StagedRow]:
        rows = await self._read(
            "SELECT number, key, opt_outs, state, kind, reason, code, message"  # noqa: S608  (constants and marks)
            f" FROM rows WHERE {condition} ORDER BY number LIMIT ?",
            (*parameters, limit),
        )
        found: list[StagedRow] = []
        # Rows may be far apart: all the blocks between them may not fit in memory.
        for _, group in groupby(rows, lambda row: row[0] // PAGE):
            part = list(group)
            lines = await self._blocks("lines", part[0][0], part[-1][0])
            fields = await self._blocks("fields", part[0][0], part[-1][0])
            for number, key, opt_outs, state, *more in part:
                found.append(
                    StagedRow(
                        number=number,
                        line=lines[number],
                        fields=fields[number],
                        key=key,
                        opt_outs=tuple(opt_outs.split()) if opt_outs else (),
                        outcome=Outcome(State(state), *more),
                    )
                )
        return found

    async def _blocks(self, column: str, first: int, last: int) -> dict[int, Any]:
        """Return the values in the blocks of rows number `first` to `last`, by number."""
        rows = await self._database.read(
            f"SELECT {column} FROM blocks WHERE block BETWEEN ? AND ? ORDER BY block",  # noqa: S608  (constant)
            (_block(first), _block(last)),
        )
        load = json.loads if column == "lines" else _load
        return dict(
            enumerate((each for (values,) in rows for each in load(values)), _block(first) * BLOCK + 1)
        )

    async def _read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Write outcomes that are not yet written, and return the rows of a query."""
        if self._outcomes:
            outcomes, self._outcomes = self._outcomes, {}
            await self._database.write((_SET_OUTCOME, _by_outcome(outcomes.items())))
        return await self._database.read(query, parameters)


def _block(number: int) -> int:
    return (number - 1) // BLOCK


def _values(block: Block) -> tuple[Any, ...]:
    return (
        *(_block(block.first), json.dumps(block.lines), _dump(block.content_hashes)),
        *(_dump(block.positions), _dump(block.contents), _dump_fields(block.fields)),
    )


def _by_outcome(outcomes: Iterable[tuple[int, Outcome]]) -> list[tuple[Any, ...]]:
    """Return the parameters of statements that set outcomes: one for all rows with the same outcome."""
    numbers: dict[tuple[Outcome, str | None], list[int]] = {}
    for number, outcome in outcomes:
        numbers.setdefault((outcome, outcome.message), []).append(number)
    return [
        (
            (State.PENDING if each.state is State.RETRY else each.state).value,
            *(each.code, each.reason, each.kind, message, json.dumps(found)),
        )
        for (each, message), found in numbers.items()
    ]


def _in(after: int, states: Sequence[State]) -> tuple[str, tuple[Any, ...]]:
    return f"number > ? AND state IN ({', '.join('?' * len(states))})", (after, *states)


def _dump(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _dump_fields(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Pickle the fields of rows; a value that cannot be pickled is replaced by the name of its type."""
    try:
        return _dump(rows)
    except Exception:  # noqa: BLE001  (a value can raise anything)
        picklable = [
            {
                name: value if _is_picklable(value) else f"<{type(value).__name__}>"
                for name, value in row.items()
            }
            for row in rows
        ]
    return _dump(picklable)


def _is_picklable(value: object) -> bool:
    try:
        return bool(_dump(value))
    except Exception:  # noqa: BLE001  (likewise)
        return False


def _load(value: bytes) -> Any:
    # Written by this process into a file that no other process can open.
    return pickle.loads(value)  # noqa: S301
