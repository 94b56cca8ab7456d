"""A run of `sync_leads` with a generous error budget, in which every row has one state."""

from __future__ import annotations

from typing import Any

from publitrac_async.bulk import ErrorBudget, Report, sync_leads
from tests.support.sinks import RecordingSink

GENEROUS = ErrorBudget(share=1, in_a_row=10_000)


def accounted(report: Report) -> Report:
    """Every row in exactly one state."""
    assert sum(report.counts.values()) == report.rows
    return report


async def run(source: Any, sink: RecordingSink, **options: Any) -> Report:
    return accounted(await sync_leads(source, sink, **{"error_budget": GENEROUS} | options))
