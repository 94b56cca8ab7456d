"""Parts of a source, named by where they begin, and read by other processes than the one that cut them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from itertools import islice

from attrs import field, frozen
from attrs.validators import ge

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Item, Row, as_row
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.reference import Items, NamedSource, Seekable


@frozen(kw_only=True)
class Chunk:
    """Rows of a source that stand one behind the other. All of it can be written as JSON.

    Attributes:
        number: of the first row in the source, from 1.
        line: of the first row: `Row.line`.
        position: of the first row: `Row.position`.
        count: of the rows.
    """

    number: int = field(validator=ge(1))
    line: int
    position: int | str | None
    count: int = field(validator=ge(1))


class ChunkReader:
    """Reads chunks of one source, in any order.

    Chunks without a position (workbooks, UTF-16, sources that are read from the start only) cost reading past
    all rows before them. So the reader stays where the last of them ended: in ascending order, all
    together cost one reading of the source, and back it goes by beginning again.

    Args:
        source: what `open_source` returned.
    """

    def __init__(self, source: FileSource | NamedSource) -> None:
        self._source = source
        self._seekable: Items | None = None
        self._turn = asyncio.Lock()
        self._items: Iterator[Row] | AsyncGenerator[Item] | None = None
        #: Number of the next of `_items`.
        self._number = 1

    async def read(self, chunk: Chunk) -> list[Row]:
        """The rows of a chunk.

        Raises:
            SourceError: they cannot be read, or are not there: the source is not the one that was cut. Rows
                with other content are not noticed here.
        """
        items = None if chunk.position is None else await self._read_at(chunk.position, chunk)
        if items is None:
            async with self._turn:
                items = await self._read_on(chunk)
        rows = [as_row(item, number) for number, item in enumerate(items, chunk.number)]
        if len(rows) != chunk.count or rows[0].line != chunk.line:
            raise SourceError(
                f"rows {chunk.number} to {chunk.number + chunk.count - 1} are not where they were: the source"
                " was changed, or this process reads another one"
            )
        return rows

    async def aclose(self) -> None:
        """Leave the source. Reading may begin again."""
        items, self._items, self._seekable = self._items, None, None
        if isinstance(items, AsyncGenerator):
            await items.aclose()

    async def _read_at(self, position: int | str, chunk: Chunk) -> list[Item] | None:
        """The items from a position, ``None`` if the source cannot begin there."""
        if self._seekable is None:
            self._seekable = self._source.open() if isinstance(self._source, NamedSource) else self._source
        if not isinstance(self._seekable, Seekable):
            return None
        items = self._seekable.rows_from(position, chunk.line, chunk.count)
        return [item async for item in items] if isinstance(items, AsyncIterable) else [*items]

    async def _read_on(self, chunk: Chunk) -> list[Item]:
        """The items that are reached by reading on from where the last chunk ended, or from the start."""
        if self._items is None or chunk.number < self._number:
            await self.aclose()
            self._items, self._number = _begin(self._source), 1
        skipped = chunk.number - self._number
        # Whatever happens to this reading, the next does not go on in the midst of it.
        items, self._items = self._items, None
        found: list[Item] = []
        if isinstance(items, Iterator):
            # In a thread: a workbook is parsed for seconds.
            found += await asyncio.to_thread(list, islice(items, skipped, skipped + chunk.count))
        else:
            found = await _take(items, skipped, chunk.count)
        self._items, self._number = items, chunk.number + chunk.count
        return found


def _begin(source: FileSource | NamedSource) -> Iterator[Row] | AsyncGenerator[Item]:
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
