"""Bulk sync of leads: source, mapping, sink, state store, report.

::

    report = await sync_leads(read_leads("leads.csv"), publitrac.v2, state="run.sqlite")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.bulk.errors import BulkError, MappingError, SourceError, StateStoreError
from publitrac_async.bulk.executor import Executor, LocalExecutor, RunContext
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.metrics import Bucket, CallMeter, Monitor, Phase, Progress
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import Resend
from publitrac_async.bulk.report.model import Duplicate, ExitStatus, ReasonCount, Rejection, Report
from publitrac_async.bulk.rows import Outcome, Row, State
from publitrac_async.bulk.shutdown import Shutdown
from publitrac_async.bulk.sinks.base import CallJournal, OwnColumns, Record, Sink
from publitrac_async.bulk.sinks.marketo import MarketoSink
from publitrac_async.bulk.sinks.marketo_mapping import load_marketo_mapping
from publitrac_async.bulk.sinks.marketo_records import MarketoRecords, marketo_record
from publitrac_async.bulk.sinks.publitrac import PublitracV1Sink, PublitracV2Sink, publitrac_record
from publitrac_async.bulk.sinks.vitec import VitecSink, vitec_record
from publitrac_async.bulk.sources import FileSource, NamedSource, read_leads, read_sql
from publitrac_async.bulk.sources.sql import SqlRows
from publitrac_async.bulk.state.base import Entry, StateStore, StateWriter, UnknownRow
from publitrac_async.bulk.state.progress import Failure, RunProgress
from publitrac_async.bulk.state.reconcile import reconcile, unknown_rows
from publitrac_async.bulk.state.shared import ChunkClaim, ChunkResult, SharedStateStore, WorkerReports
from publitrac_async.bulk.state.sqlite import SqliteStateStore
from publitrac_async.bulk.sync import sync_leads
from publitrac_async.bulk.transform import CellWarning, CheckedRow, RowTransform, dry_run
from publitrac_async.bulk.verify import Deviation, Verification, Verify

if TYPE_CHECKING:
    from publitrac_async.bulk.distributed.docket import DocketExecutor, serve
    from publitrac_async.bulk.state.redis.store import RedisStateStore

__all__ = [
    "Bucket",
    "BulkError",
    "CallJournal",
    "CallMeter",
    "CellWarning",
    "CheckedRow",
    "ChunkClaim",
    "ChunkResult",
    "ColumnMapping",
    "Deviation",
    "DocketExecutor",
    "Duplicate",
    "Entry",
    "ErrorBudget",
    "Executor",
    "ExitStatus",
    "Failure",
    "FileSource",
    "LocalExecutor",
    "MappingError",
    "MarketoRecords",
    "MarketoSink",
    "Monitor",
    "NamedSource",
    "Outcome",
    "OwnColumns",
    "Phase",
    "Progress",
    "PublitracV1Sink",
    "PublitracV2Sink",
    "ReasonCount",
    "Record",
    "RedisStateStore",
    "Rejection",
    "Report",
    "Resend",
    "Row",
    "RowTransform",
    "RunContext",
    "RunProgress",
    "SharedStateStore",
    "Shutdown",
    "Sink",
    "SourceError",
    "SqlRows",
    "SqliteStateStore",
    "State",
    "StateStore",
    "StateStoreError",
    "StateWriter",
    "UnknownRow",
    "Verification",
    "Verify",
    "VitecSink",
    "WorkerReports",
    "dry_run",
    "load_marketo_mapping",
    "marketo_record",
    "publitrac_record",
    "read_leads",
    "read_sql",
    "reconcile",
    "serve",
    "sync_leads",
    "unknown_rows",
    "vitec_record",
]

#: Imported on demand: they need an extra.
_LAZY: Final = {
    "DocketExecutor": "publitrac_async.bulk.distributed.docket",
    "RedisStateStore": "publitrac_async.bulk.state.redis.store",
    "serve": "publitrac_async.bulk.distributed.docket",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
