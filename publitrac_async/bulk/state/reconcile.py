"""Manual reconciliation of rows whose outcome is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from publitrac_async.bulk.errors import StateStoreError
from publitrac_async.bulk.rows import Outcome, State
from publitrac_async.bulk.state.base import StateStore, UnknownRow
from publitrac_async.bulk.state.sqlite import SqliteStateStore


async def unknown_rows(state: str | Path | StateStore) -> list[UnknownRow]:
    """Return the rows of a state store whose outcome is unknown.

    Args:
        state: path of a file, or a state store, which is opened and closed again.

    Raises:
        StateStoreError: the state store does not exist, or a run is using it.
    """
    async with _opened(state) as store:
        return await store.unknown_rows()


async def reconcile(state: str | Path | StateStore, keys: Iterable[str], *, arrived: bool) -> int:
    """Set the outcome of rows whose outcome is unknown, after checking the service.

    Args:
        state: path of a file, or a state store, which is opened and closed again.
        keys: business keys, usually e-mail addresses.
        arrived: true if the service has the rows: they count as processed. False: the next run sends them.

    Returns:
        The number of rows that were changed.

    Raises:
        StateStoreError: a key has no unknown outcome, the state store does not exist, or a run is using it.
            No row was changed.
    """
    wanted = dict.fromkeys(key.strip().casefold() for key in keys)
    async with _opened(state) as store:
        entries = await store.lookup(list(wanted))
        missing = sum(entry is None or entry.outcome.state is not State.UNKNOWN for entry in entries)
        if missing:
            raise StateStoreError(
                f"{missing} of {len(wanted)} keys have no unknown outcome: list the unknown rows"
            )
        outcome = Outcome(State.OK if arrived else State.RETRY)
        await store.complete([(key, outcome) for key in wanted])
    return len(wanted)


@asynccontextmanager
async def _opened(state: str | Path | StateStore) -> AsyncIterator[StateStore]:
    store = _file(Path(state)) if isinstance(state, str | Path) else state
    await store.open(None)
    try:
        yield store
    finally:
        await asyncio.shield(store.aclose())


def _file(path: Path) -> SqliteStateStore:
    if not path.is_file():
        raise StateStoreError(f"no state store {path.name}: check the path")
    return SqliteStateStore(path)
