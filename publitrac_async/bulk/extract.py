"""Extract: read, transform and stage every row of the source before the first call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import chain, islice

from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.rows import Block, Item, Row, as_row
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.staging import BLOCK, PAGE, Staging
from publitrac_async.bulk.transform import ColumnCheck, RowTransform


async def extract(
    source: Iterable[Item] | AsyncIterable[Item],
    staging: Staging,
    transform: RowTransform,
    metrics: RunMetrics,
    shutdown: Shutdown,
) -> int:
    """Read all rows of a source into staging, until its end or a shutdown.

    Args:
        source: the source; it must end.
        staging: stores the rows.
        transform: transforms rows into records.
        metrics: counts rows.
        shutdown: request to end the run.

    Returns:
        The number of rows.

    Raises:
        SourceError: the source is unreadable.
        MappingError: the source lacks columns that the mapping names.
    """
    number, counted, check = 0, 0, ColumnCheck(transform, source)
    blocks: list[Block] = []
    limit = source.limit if isinstance(source, FileSource) else None
    async for part in _parts(source, limit):
        block = transform.block(number + 1, _rows(part, number + 1, check))
        number += len(block)
        blocks.append(block)
        if len(blocks) * BLOCK >= PAGE:
            await staging.add(blocks)
            metrics.advance(number - counted)
            blocks, counted = [], number
            if shutdown.requested:
                return number
    await staging.add(blocks)
    metrics.advance(number - counted)
    check.at_end()
    await _share_opt_outs(staging, transform)
    return number


def _rows(items: Iterable[Item], first: int, check: ColumnCheck) -> Iterator[Row]:
    for number, item in enumerate(items, first):
        row = as_row(item, number)
        check.before(row)
        yield row


async def _share_opt_outs(staging: Staging, transform: RowTransform) -> None:
    """Copy the opt-outs of all rows with the same key to the last one, which is sent."""
    for row, opt_outs in await staging.opt_outs():
        with_opt_outs = transform.stage(row.number, Row(row.line, row.fields), opt_outs)
        await staging.replace(with_opt_outs)


async def _parts(
    source: Iterable[Item] | AsyncIterable[Item], limit: int | None
) -> AsyncIterator[Iterable[Item]]:
    """Split `source` into parts of `BLOCK` items; iterate over each part once.

    Other tasks run between two parts: processing one takes some milliseconds.
    """
    if isinstance(source, AsyncIterable):
        part: list[Item] = []
        async for item in source:
            part.append(item)
            if len(part) == BLOCK:
                yield part
                part = []
        if part:
            yield part
        return
    items = iter(islice(source, limit))
    for first in items:
        yield chain((first,), islice(items, BLOCK - 1))
        await asyncio.sleep(0)
