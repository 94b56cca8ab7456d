"""What an engine is, and what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Protocol

from attrs import frozen

from publitrac_async.bulk.ledger import Ledger
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.rows import Item
from publitrac_async.bulk.sinks import Sink
from publitrac_async.bulk.spool import Spool
from publitrac_async.bulk.stopping import Stop


@frozen(kw_only=True)
class Work:
    """A run.

    Attributes:
        source: where its rows come from.
        sink: where they go.
        prepare: makes rows into records.
        spool: holds the rows, once they are read; when they are planned, those to be sent are pending.
        ledger: is told of every call, before and after.
        budget: how much may fail.
        course: told what happens.
        stop: how the run is asked to end.
    """

    source: Iterable[Item] | AsyncIterable[Item]
    sink: Sink[Any]
    prepare: Preparer
    spool: Spool
    ledger: Ledger
    budget: ErrorBudget
    course: Course
    stop: Stop


class Engine(Protocol):
    """Brings the pending rows of a run to their sink."""

    @property
    def chunk_rows(self) -> int | None:
        """How many rows it hands out together to other processes; ``None`` if it hands out none.

        The others go on when the process that began the run is gone, so that the run can be joined.
        """
        ...

    def check(self, work: Work) -> None:
        """Check that this engine can do the work, before anything is read.

        Raises:
            PublitracError: it cannot.
        """
        ...

    async def send(self, work: Work) -> str | None:
        """Send all rows that are pending, unless the run is stopped before.

        Returns:
            Why the run ended before its last row, ``None`` if it did not.

        Raises:
            BulkError: ledger or spool failed.
        """
        ...
