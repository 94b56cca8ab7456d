"""Rows whose outcome nobody knows, settled by hand: somebody has looked whether they arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from publitrac_async.bulk.errors import LedgerError
from publitrac_async.bulk.file_ledger import FileLedger
from publitrac_async.bulk.ledger import Ledger, Outcome, Unsettled
from publitrac_async.bulk.rows import State


async def unsettled(ledger: str | Path | Ledger) -> list[Unsettled]:
    """What a ledger holds with an unknown outcome.

    Args:
        ledger: path of the file, or a ledger that several hosts share, which is closed at the end.

    Raises:
        LedgerError: there is no such ledger, or a run is using it.
    """
    async with _opened(ledger) as book:
        return await book.unsettled()


async def settle(ledger: str | Path | Ledger, keys: Iterable[str], *, arrived: bool) -> int:
    """Note what became of rows with an unknown outcome.

    Args:
        ledger: path of the file, or a ledger that several hosts share, which is closed at the end.
        keys: business keys, usually e-mail addresses.
        arrived: the service has them: they count as done. Otherwise the next run sends them again.

    Returns:
        How many were settled.

    Raises:
        LedgerError: a key is not waiting to be settled (nothing was noted), there is no such ledger, or a
            run is using it.
    """
    wanted = dict.fromkeys(key.strip().casefold() for key in keys)
    async with _opened(ledger) as book:
        entries = await book.recall(list(wanted))
        missing = sum(entry is None or entry.outcome.state is not State.UNKNOWN for entry in entries)
        if missing:
            raise LedgerError(f"{missing} of {len(wanted)} rows are not waiting to be settled")
        outcome = Outcome(State.OK if arrived else State.RETRY)
        await book.settle([(key, outcome) for key in wanted])
    return len(wanted)


@asynccontextmanager
async def _opened(ledger: str | Path | Ledger) -> AsyncIterator[Ledger]:
    book = _file(Path(ledger)) if isinstance(ledger, str | Path) else ledger
    try:
        await book.open(None)
        yield book
    finally:
        await asyncio.shield(book.aclose())


def _file(path: Path) -> FileLedger:
    if not path.is_file():
        raise LedgerError(f"there is no ledger {path.name}")
    return FileLedger(path)
