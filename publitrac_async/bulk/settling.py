"""Rows whose outcome nobody knows, settled by hand: somebody has looked whether they arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.file_ledger import FileLedger
from publitrac_async.bulk.ledger import Outcome, Unsettled
from publitrac_async.bulk.rows import State


async def unsettled(ledger: str | Path) -> list[Unsettled]:
    """What a ledger holds with an unknown outcome.

    Raises:
        LedgerError: there is no such ledger, or a run is using it.
    """
    async with _opened(ledger) as book:
        return await book.unsettled()


async def settle(ledger: str | Path, keys: Iterable[str], *, arrived: bool) -> int:
    """Note what became of rows with an unknown outcome.

    Args:
        ledger: path of the file.
        keys: business keys, as `unsettled` shows them.
        arrived: the service has them: they count as done. Otherwise the next run sends them again.

    Returns:
        How many were settled.

    Raises:
        LedgerError: a key is not waiting to be settled (nothing was noted), there is no such ledger, or a
            run is using it.
    """
    wanted = dict.fromkeys(key.strip().casefold() for key in keys)
    async with _opened(ledger) as book:
        waiting = {each.key for each in await book.unsettled()}
        missing = [key for key in wanted if key not in waiting]
        if missing:
            raise LedgerError(f"{len(missing)} of {len(wanted)} rows are not waiting to be settled")
        outcome = Outcome(State.OK if arrived else State.RETRY)
        await book.settle([(key, outcome) for key in wanted])
    return len(wanted)


@asynccontextmanager
async def _opened(path: str | Path) -> AsyncIterator[FileLedger]:
    path = Path(path)
    if not path.is_file():
        raise LedgerError(f"there is no ledger {path.name}")
    book = FileLedger(path)
    await book.open(None)
    try:
        yield book
    finally:
        await book.aclose()
