"""The state store of a run without a state store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from publitrac_async.bulk.rows import Outcome
from publitrac_async.bulk.state.base import Entry, UnknownRow

T = TypeVar("T")


class NullStateStore:
    """A state store without entries, for runs that no later run resumes.

    Level of durability: memory. See `StateStore`.
    """

    async def open(self, destination: str | None, *, run: str = "", reset: bool = False) -> None:
        """Do nothing; see `StateStore.open`."""

    async def note_source(self, name: str, source_hash: str | None) -> bool | None:  # noqa: ARG002  (of the interface)
        """Return ``None``: the last run is unknown."""
        return None

    async def lookup(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return no entries."""
        return [None] * len(keys)

    async def plan(self, leads: Sequence[tuple[str, bytes]]) -> None:
        """Do nothing; see `StateStore.plan`."""

    def begin(self, keys: Sequence[str]) -> asyncio.Future[bool]:  # noqa: ARG002  (of the interface)
        """Return a future that is done: the call may start."""
        return _done(value=True)

    def complete(self, leads: Sequence[tuple[str, Outcome]]) -> asyncio.Future[None]:  # noqa: ARG002  (of the interface)
        """Return a future that is done."""
        return _done(value=None)

    async def unknown_rows(self) -> list[UnknownRow]:
        """Return no rows."""
        return []

    async def aclose(self) -> None:
        """Do nothing; see `StateStore.aclose`."""


def _done(*, value: T) -> asyncio.Future[T]:
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future
