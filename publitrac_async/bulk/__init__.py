"""Bulk synchronization: sources, ledger, engine, report.

::

    report = await sync_leads(read_leads("leads.csv"), publitrac.v2, ledger="run.sqlite")
"""

from __future__ import annotations

from publitrac_async.bulk.confirm import Confirm, Confirmation
from publitrac_async.bulk.engines.local import LocalEngine
from publitrac_async.bulk.engines.work import Engine
from publitrac_async.bulk.errors import BulkError, LedgerError, MappingError, SourceError
from publitrac_async.bulk.ledger import Ledger, Unsettled
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.marketo import MarketoLeads, load_marketo_fields, prepare_marketo_lead
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.bulk.planning import Again
from publitrac_async.bulk.preparing import Preparer, examine
from publitrac_async.bulk.progress import CallMeter, Phase, Progress
from publitrac_async.bulk.report import Report
from publitrac_async.bulk.rows import Row, State
from publitrac_async.bulk.settling import settle, unsettled
from publitrac_async.bulk.sinks import DelayedSync, LeadSink, Prepared, Sink, SyncLead, prepare_lead
from publitrac_async.bulk.sources import NamedSource, read_leads, read_sql
from publitrac_async.bulk.stopping import Stop
from publitrac_async.bulk.sync import sync_leads
from publitrac_async.bulk.vitec import VitecLeads, prepare_person_lead

__all__ = [
    "Again",
    "BulkError",
    "CallMeter",
    "ColumnMapping",
    "Confirm",
    "Confirmation",
    "DelayedSync",
    "Engine",
    "ErrorBudget",
    "LeadSink",
    "Ledger",
    "LedgerError",
    "LocalEngine",
    "MappingError",
    "MarketoLeads",
    "NamedSource",
    "Phase",
    "Prepared",
    "Preparer",
    "Progress",
    "Report",
    "Row",
    "Sink",
    "SourceError",
    "State",
    "Stop",
    "SyncLead",
    "Unsettled",
    "VitecLeads",
    "examine",
    "load_marketo_fields",
    "prepare_lead",
    "prepare_marketo_lead",
    "prepare_person_lead",
    "read_leads",
    "read_sql",
    "settle",
    "sync_leads",
    "unsettled",
]
