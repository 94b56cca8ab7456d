"""Errors of source, mapping and state store: they end a whole run.

An error of a call ends it if `is_fatal` in `bulk/outcomes.py` says so, and too many failures do by
`ErrorBudget` there. The report lists errors of single rows.
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
