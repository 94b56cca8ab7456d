"""What can go wrong with a whole run, below `PublitracError`. What is wrong with a row is in the report."""

from __future__ import annotations

from publitrac_async.errors import PublitracError


class BulkError(PublitracError):
    """A run cannot begin, or cannot go on."""


class SourceError(BulkError):
    """The input cannot be read: no such file, wrong encoding or delimiter, an open quote, no e-mail."""


class MappingError(BulkError):
    """The mapping file is not what the guide describes, or does not fit the input."""


class LedgerError(BulkError):
    """The ledger cannot be used: damaged, full, in use by another process, or made for another purpose."""
