"""Ranges of rows: cut by one process, read by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from itertools import islice

from attrs import field, frozen
from attrs.validators import ge

from publitrac_async.bulk.distributed.references import Seekable
from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Item, Line, Row, as_row
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.named import Items, NamedSource


@frozen(kw_only=True)
class RowRange:
    """Contiguous rows of a source, serializable as JSON.

    Attributes:
        number: number of the first row, from 1.
        line: `Row.line` of the first row.
        position: `Row.position` of the first row.
        count: number of rows.
    """

    number: int = field(validator=ge(1))
    line: Line
    position: int | str | None
    count: int = field(validator=ge(1))


class RangeReader:
    """Reads ranges of one source, in any order.

    Without a position (workbooks, UTF-16, iterables) a range can be read only after all rows before it. The
    reader therefore stays open after a range: in ascending order, all ranges together cost one reading of the
    source. An earlier range starts a new reading.

    Args:
        source: result of `open_source`.
    """

    def __init__(self, source: FileSource | NamedSource) -> None:
        self._source = source
        self._seekable: Items | None = None
        self._lock = asyncio.Lock()
        self._items: Iterator[Row] | AsyncGenerator[Item] | None = None
        #: Number of the next row of `_items`.
        self._number = 1

    async def read(self, wanted: RowRange) -> list[Row]:
        """Return the rows of a range.

        Raises:
            SourceError: the rows are unreadable or missing, because the source has changed. Changed contents
                are not detected here.
        """
        items = None if wanted.position is None else await self._read_at(wanted.position, wanted)
        if items is None:
            async with self._lock:
                items = await self._read_on(wanted)
        rows = [as_row(item, number) for number, item in enumerate(items, wanted.number)]
        if len(rows) != wanted.count or rows[0].line != wanted.line:
            raise SourceError(
                f"rows {wanted.number} to {wanted.number + wanted.count - 1} have moved: the source was "
                "changed, or is not the same on this host"
            )
        return rows

    async def aclose(self) -> None:
        """Close the source; `read` opens it again."""
        items, self._items, self._seekable = self._items, None, None
        if isinstance(items, AsyncGenerator):
            await items.aclose()

    async def _read_at(self, position: int | str, wanted: RowRange) -> list[Item] | None:
        """Return the items from a position, ``None`` if the source cannot start there."""
        if self._seekable is None:
            self._seekable = self._source.open() if isinstance(self._source, NamedSource) else self._source
        if not isinstance(self._seekable, Seekable):
            return None
        items = self._seekable.rows_from(position, wanted.line, wanted.count)
        return [item async for item in items] if isinstance(items, AsyncIterable) else [*items]

    async def _read_on(self, wanted: RowRange) -> list[Item]:
        """Return the items of a range, read on from the last one, or from the start."""
        if self._items is None or wanted.number < self._number:
            await self.aclose()
            self._items, self._number = _start(self._source), 1
        skipped = wanted.number - self._number
        # Until it succeeds there is nothing to continue: after an error the next reading starts again.
        items, self._items = self._items, None
        found: list[Item] = []
        if isinstance(items, Iterator):
            # In a thread: parsing a workbook takes seconds.
            found += await asyncio.to_thread(list, islice(items, skipped, skipped + wanted.count))
        else:
            found = await _take(items, skipped, wanted.count)
        self._items, self._number = items, wanted.number + wanted.count
        return found


def _start(source: FileSource | NamedSource) -> Iterator[Row] | AsyncGenerator[Item]:
    return aiter(source) if isinstance(source, NamedSource) else iter(source)


async def _take(items: AsyncGenerator[Item], skipped: int, count: int) -> list[Item]:
    found: list[Item] = []
    number = 0
    try:
        async for item in items:
            number += 1
            if number > skipped:
                found.append(item)
                if len(found) == count:
                    break
    except BaseException:
        await items.aclose()
        raise
    return found
