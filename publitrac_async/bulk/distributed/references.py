"""References, by which another process opens the same source: a path or a name."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from publitrac_async.bulk.errors import SourceError, SourceUnavailable
from publitrac_async.bulk.rows import Item
from publitrac_async.bulk.sources import class_of
from publitrac_async.bulk.sources.file import FileSource
from publitrac_async.bulk.sources.files import Files
from publitrac_async.bulk.sources.named import Items, NamedSource, NamedSources


@runtime_checkable
class Referable(Protocol):
    """A source that other processes can open."""

    def reference(self) -> dict[str, Any]:
        """Return a reference: JSON without personal data or credentials."""
        ...


@runtime_checkable
class Seekable(Protocol):
    """A source that can be read from the `Row.position` of each of its rows."""

    def rows_from(self, position: Any, line: Any, count: int) -> Iterable[Item] | AsyncIterable[Item]:
        """Read `count` rows, beginning with the row that has `position` and `line`."""
        ...


def reference_of(source: Items) -> dict[str, Any]:
    """Return the reference to a source, as JSON.

    Raises:
        SourceError: other processes cannot open the source.
    """
    if isinstance(source, Referable):
        return source.reference()
    raise SourceError(
        f"other processes cannot open a {type(source).__name__}: use read_leads with a file on a shared file "
        "system, or a NamedSource"
    )


def open_source(
    reference: Mapping[str, Any], sources: NamedSources | None = None
) -> FileSource | NamedSource:
    """Return the source of a reference, without reading it.

    Args:
        reference: result of `reference_of` in another process.
        sources: named sources of this process.

    Raises:
        SourceError: the reference is invalid, this process has no source of that name, or the library for
            this kind of file is missing.
    """
    match dict(reference):
        case {"kind": "named", "name": str(name)}:
            known = sources or {}
            if name not in known:
                raise SourceUnavailable(f"this process has no source named {name}: start the worker with it")
            return NamedSource(name, known[name])
        case {"kind": Files.kind, "files": list(each)}:
            return Files([_file_of(open_source(reference)) for reference in each])
        case {"kind": str(kind), "path": str(path), **options}:
            try:
                return class_of(kind)(Path(path), **options)
            except TypeError:
                pass
    raise SourceUnavailable(
        "the reference of a source is invalid: run the same version of publitrac_async in all processes"
    )


def _file_of(source: FileSource | NamedSource) -> FileSource:
    assert isinstance(source, FileSource)
    return source
