"""Executors: choose where the pending rows of a run are sent. `bulk/sending.py` sends them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, Protocol

from attrs import field, frozen

from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.rows import Item
from publitrac_async.bulk.sending import Sender
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.sinks.base import Sink
from publitrac_async.bulk.staging import Staging
from publitrac_async.bulk.state.base import StateStore
from publitrac_async.bulk.transform import RowTransform
from publitrac_async.config import is_integer
from publitrac_async.errors import ConfigurationError


@frozen(kw_only=True)
class RunContext:
    """The parts of a run.

    Attributes:
        source: source of the rows.
        sink: destination of the rows.
        transform: transforms rows into records.
        staging: rows of the run; after planning, the rows to be sent are pending.
        store: state store, open for the run.
        error_budget: limits of failures.
        metrics: counts outcomes.
        shutdown: request to end the run.
    """

    # No field with rows is in a ``repr``: tracebacks may show the locals of frames.
    source: Iterable[Item] | AsyncIterable[Item] = field(repr=False)
    sink: Sink[Any]
    transform: RowTransform
    staging: Staging
    store: StateStore
    error_budget: ErrorBudget
    metrics: RunMetrics
    shutdown: Shutdown


class Executor(Protocol):
    """Sends the pending rows of a run to their sink."""

    @property
    def fingerprint(self) -> str:
        """Settings that two runs must share for one to join the other; empty if runs cannot be joined.

        Workers may continue a run whose first process was killed. A run with the same settings joins it.
        """
        ...

    def check(self, run: RunContext) -> None:
        """Check that this executor supports the run, before the source is read.

        Raises:
            PublitracError: the executor does not support the run.
        """
        ...

    async def execute(self, run: RunContext) -> str | None:
        """Send all pending rows, until the run is stopped.

        Returns:
            The reason why the run ended before its last row, ``None`` at its regular end.

        Raises:
            BulkError: state store or staging failed.
        """
        ...


@frozen
class LocalExecutor:
    """Sends the rows from this process.

    Attributes:
        concurrency: maximum number of calls in flight. ``None`` adapts it to the client: with default
            settings, rate limit times latency of the service, at most 256.

    Raises:
        ConfigurationError: `concurrency` is not a whole number, or below 1.
    """

    concurrency: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.concurrency is not None and (not is_integer(self.concurrency) or self.concurrency < 1):
            raise ConfigurationError("concurrency must be a whole number, at least 1, or None")

    @property
    def fingerprint(self) -> str:
        """Empty: the run ends with this process."""
        return ""

    def check(self, run: RunContext) -> None:
        """Accept any run."""

    async def execute(self, run: RunContext) -> str | None:
        """Send all pending rows; see `Executor.execute`."""
        sender = Sender(
            pending=run.staging.pending,
            sink=run.sink,
            state=run.store,
            error_budget=run.error_budget,
            shutdown=run.shutdown,
            note=run.staging.set_outcomes,
            metrics=run.metrics,
        )
        return await sender.send(self.concurrency)
