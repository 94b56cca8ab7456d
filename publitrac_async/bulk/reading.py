"""From the source into the spool: every row is read, mapped and checked before the first is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final

from publitrac_async.bulk.ledger import Outcome
from publitrac_async.bulk.outcomes import code_of
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.rows import Item, Row, State, as_row
from publitrac_async.bulk.spool import Spool, Staged
from publitrac_async.bulk.stopping import Stop
from publitrac_async.errors import ValidationError

#: Rows looked at before the event loop gets its turn: some milliseconds.
_PORTION: Final = 100
_STAGED_AT_ONCE: Final = 500


async def read(
    source: Iterable[Item] | AsyncIterable[Item], spool: Spool, prepare: Preparer, course: Course, stop: Stop
) -> int:
    """Take all rows of a source into the spool, unless the run is asked to end before.

    Args:
        source: has to end.
        spool: gets the rows.
        prepare: makes rows into records.
        course: told what happens.
        stop: how the run is asked to end.

    Returns:
        How many there are.

    Raises:
        SourceError: the source cannot be read to its end.
        MappingError: it does not have the columns that the mapping names.
    """
    number = 0
    staged: list[Staged] = []
    items = source if isinstance(source, AsyncIterable) else _turns(source)
    async for item in items:
        number += 1
        row = as_row(item, number)
        if number == 1:
            prepare.check_columns(source, row)
        staged.append(stage(number, row, prepare))
        if len(staged) >= _STAGED_AT_ONCE:
            await spool.stage(staged)
            course.advance(len(staged))
            staged = []
            if stop.requested:
                return number
    await spool.stage(staged)
    course.advance(len(staged))
    return number


def stage(number: int, row: Row, prepare: Preparer) -> Staged:
    """A row with its key and digest, or with the reason why it cannot be sent."""
    if row.problem is not None:
        return Staged(number, row, outcome=Outcome(State.REJECTED, "unreadable row", row.problem))
    try:
        prepared = prepare(row.fields)
    except ValidationError as error:
        outcome = Outcome(State.REJECTED, "ValidationError", error.message, code_of(error))
        return Staged(number, row, outcome=outcome)
    return Staged(number, row, prepared.key, prepared.payload, prepared.record)


async def _turns(source: Iterable[Item]) -> AsyncIterator[Item]:
    """The items of `source`; the event loop gets its turn in between."""
    for number, item in enumerate(source, 1):
        yield item
        if number % _PORTION == 0:
            await asyncio.sleep(0)
