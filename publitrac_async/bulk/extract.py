"""Extract: read, transform and stage every row of the source before the first call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from itertools import chain, islice
from typing import Final

from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.rows import Item, Row, StagedRow, as_row
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.staging import PAGE, Staging
from publitrac_async.bulk.transform import ColumnCheck, RowTransform

#: Rows between two yields to the event loop: some milliseconds.
_YIELD_EVERY: Final = 100


async def extract(
    source: Iterable[Item] | AsyncIterable[Item],
    staging: Staging,
    transform: RowTransform,
    metrics: RunMetrics,
    shutdown: Shutdown,
) -> int:
    """Read all rows of a source into staging, until its end or a shutdown.

    Args:
        source: a finite source.
        staging: destination of the rows.
        transform: transforms rows into records.
        metrics: counts rows.
        shutdown: request to end the run.

    Returns:
        The number of rows.

    Raises:
        SourceError: the source is unreadable.
        MappingError: the source lacks columns that the mapping names.
    """
    number, check = 0, ColumnCheck(transform, source)
    staged: list[StagedRow] = []
    limit = source.limit if isinstance(source, FileSource) else None
    async for part in _parts(source, limit):
        for item in part:
            number += 1
            row = as_row(item, number)
            check.before(row)
            staged.append(transform.stage(number, row))
        if len(staged) >= PAGE:
            await staging.add(staged)
            metrics.advance(len(staged))
            staged = []
            if shutdown.requested:
                return number
    await staging.add(staged)
    metrics.advance(len(staged))
    check.at_end()
    await _share_opt_outs(staging, transform)
    return number


async def _share_opt_outs(staging: Staging, transform: RowTransform) -> None:
    """Give the last row of each key the opt-outs of the other rows."""
    for row, opt_outs in await staging.opt_outs():
        again = transform.stage(row.number, Row(row.line, row.fields), opt_outs)
        await staging.replace(again)


async def _parts(
    source: Iterable[Item] | AsyncIterable[Item], limit: int | None
) -> AsyncIterator[Iterable[Item]]:
    """Iterate over parts of `source`, each to be iterated over once; yield to the event loop between them."""
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield (item,)
        return
    items = iter(islice(source, limit))
    for first in items:
        yield chain((first,), islice(items, _YIELD_EVERY - 1))
        await asyncio.sleep(0)
