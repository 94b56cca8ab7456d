"""How other processes open the source that this one reads: by its path, or by a name that they know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen
from attrs.validators import min_len

from publitrac_async.bulk.errors import SourceError
from publitrac_async.bulk.rows import Item
from publitrac_async.bulk.sources.delimited import DelimitedFile
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.json_lines import JsonLinesFile

#: What can be read: rows, mappings or leads, awaited for or not.
Items: TypeAlias = Iterable[Item] | AsyncIterable[Item]
#: Sources of a process by the name that all processes of a run know them by.
NamedSources: TypeAlias = Mapping[str, Callable[[], Items]]

#: Items between two turns of the event loop.
_PORTION: Final = 100


@runtime_checkable
class Referable(Protocol):
    """A source that other processes can open."""

    def reference(self) -> dict[str, Any]:
        """How, as JSON without personal data or credentials."""
        ...


@runtime_checkable
class Seekable(Protocol):
    """A source that can be read from the `Row.position` of any of its rows."""

    def rows_from(self, position: Any, line: int, count: int) -> Iterable[Item] | AsyncIterable[Item]:
        """Read rows as reading from the start would give them: the first has `position` and `line`."""
        ...


@frozen
class NamedSource:
    """A source that other processes know by name: a query, or any iterable that can be opened again.

    ::

        def crm():
            return read_sql(connect, QUERY, key="id")

        await sync_leads(NamedSource("crm", crm), ...)

    Args:
        name: no more than this leaves the process.
        open: returns the source. Each call begins at the first row, and gives the same rows in the same
            order. If what it returns has the method ``rows_from`` as `SqlRows` has, and its rows have a
            position, each process reads its own rows only; otherwise each reads past those of the others.
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
                if number % _PORTION == 0:
                    await asyncio.sleep(0)

    def reference(self) -> dict[str, Any]:
        """How another process finds this source: its name, as JSON; for `open_source`."""
        return {"kind": "named", "name": self.name}


def reference_of(source: Items) -> dict[str, Any]:
    """How other processes open `source`, as JSON.

    Raises:
        SourceError: they cannot.
    """
    if isinstance(source, Referable):
        return source.reference()
    raise SourceError(
        f"other processes cannot open a {type(source).__name__}: hand over a file of read_leads on a file "
        "system that all share, or a NamedSource"
    )


def open_source(
    reference: Mapping[str, Any], sources: NamedSources | None = None
) -> FileSource | NamedSource:
    """The source that another process refers to. Nothing is read yet.

    Args:
        reference: what `reference_of` returned there.
        sources: those that this process knows by name.

    Raises:
        SourceError: the reference is not understood, this process knows no source of that name, or it
            lacks the library that reads such a file.
    """
    match dict(reference):
        case {"kind": "named", "name": str(name)}:
            known = sources or {}
            if name not in known:
                raise SourceError(f"this process knows no source named {name}: start the worker with it")
            return NamedSource(name, known[name])
        case {"kind": str(kind), "path": str(path), **options}:
            try:
                return _class_of(kind)(Path(path), **options)
            except TypeError:
                pass
    raise SourceError("the reference of a source is not understood: do all processes run the same version?")


def _class_of(kind: str) -> Callable[..., FileSource]:
    # Some need a library of their own: they are imported when such a file is met.
    match kind:
        case DelimitedFile.kind:
            return DelimitedFile
        case JsonLinesFile.kind:
            return JsonLinesFile
        case "workbook":
            from publitrac_async.bulk.sources.xlsx import XlsxFile  # noqa: PLC0415

            return XlsxFile
        case "parquet":
            from publitrac_async.bulk.sources.parquet import ParquetFile  # noqa: PLC0415

            return ParquetFile
        case _:
            raise TypeError(kind)
