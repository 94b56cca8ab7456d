"""Errors of source, mapping and state store: they end a whole run.

While rows are sent, a run ends early with a report: `is_fatal` and `ErrorBudget` in `bulk/outcomes.py` decide
on errors of calls, and `_examine` in `bulk/sending.py` adds a shared limiter that stays unavailable. An
exception that is not a `PublitracError` is a bug, and ends the run with a traceback. The report lists errors
of single rows.
"""

from __future__ import annotations

from publitrac_async.errors import PublitracError


class BulkError(PublitracError):
    """Base class of the errors that end a run."""


class SourceError(BulkError):
    """The source is unreadable: missing file, wrong encoding or delimiter, open quote, no e-mail column."""


class SourceUnavailable(SourceError):
    """This process cannot open the source; another one may."""


class MappingError(BulkError):
    """The mapping file is invalid, or does not fit the source."""


class StateStoreError(BulkError):
    """The state store is unusable: damaged, full, in use, unreachable, or made for another destination."""


class StateStoreInUse(StateStoreError):
    """Another process is using the state store; it is free when the run of that process ends."""

    retryable = True
