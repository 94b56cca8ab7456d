"""Named sources: queries, or other iterables that any process can open again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from attrs.validators import min_len

from publitrac_async.bulk.rows import Item

#: A source: rows, mappings or leads, async or not.
Items: TypeAlias = Iterable[Item] | AsyncIterable[Item]
#: Function that opens a source, by the name that all processes of a run use for it.
NamedSources: TypeAlias = Mapping[str, Callable[[], Items]]

#: Items between two yields to the event loop.
_YIELD_EVERY: Final = 100


@frozen
class NamedSource:
    """A source that other processes can open by its name.

    ::

        def crm():
            return read_sql(connect, QUERY, key="id")

        await sync_leads(NamedSource("crm", crm), ...)

    Args:
        name: name of the source. Only the name is passed to other processes.
        open: returns the source. Each call starts at the first row, and returns the same rows in the same
            order. If the source has the method ``rows_from``, like `SqlRows`, and its rows have a position,
            each process reads only its own rows; otherwise it also reads all rows before them.
    """

    name: str = field(validator=min_len(1))
    open: Callable[[], Items]

    async def __aiter__(self) -> AsyncGenerator[Item]:
        source = self.open()
        if isinstance(source, AsyncIterable):
            items = aiter(source)
            try:
                async for item in items:
                    yield item
            finally:
                if isinstance(items, AsyncGenerator):
                    await items.aclose()
        else:
            for number, item in enumerate(source, 1):
                yield item
                if number % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)

    def reference(self) -> dict[str, Any]:
        """Return the name as JSON; see `open_source`."""
        return {"kind": "named", "name": self.name}
