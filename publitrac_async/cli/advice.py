"""The next step after an error that ends a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from publitrac_async import errors
from publitrac_async.bulk.errors import MappingError, SourceError, SourceUnavailable, StateStoreInUse

#: Next step by class of error. For an error without an entry, that of its nearest base class applies.
NEXT_STEPS: Final[Mapping[type[errors.PublitracError], str]] = {
    errors.ConfigurationError: "correct the setting; `publitrac-async doctor` shows all of them.",
    errors.ClientStateError: "report this as a bug, with the output of `publitrac-async doctor`.",
    errors.NotSent: "check network, proxy and base URL with `publitrac-async doctor --online`.",
    errors.LimiterUnavailable: "check that the shared Redis runs, then run the command again.",
    errors.QueueTimeout: "run the command again when other programs of the account make fewer calls.",
    errors.OutcomeUnknown: "run the command again: it repeats only calls that are safe to repeat.",
    errors.DeadlineExceeded: "run the command again: it repeats only calls that are safe to repeat.",
    errors.AuthenticationError: "correct the credentials in the environment: `publitrac-async doctor "
    "--online` tests those of PUBLITRAC.",
    errors.PermissionDenied: "ask the administrator of the account for this right.",
    errors.NotFound: "check the name.",
    errors.LeadNotFound: "check the address; a lead that was just queued may not be processed yet.",
    errors.ValidationError: "correct the value, then run the command again.",
    errors.Conflict: "check the lead in the service: it already exists, or several leads match.",
    errors.RateLimited: "run the command again later; if other programs use the account, set "
    "PUBLITRAC_REDIS_URL for all of them to share one limit.",
    errors.QuotaExhausted: "run the command again tomorrow.",
    errors.ServerError: "run the command again later.",
    errors.UnexpectedContent: "check the base URL with `publitrac-async doctor`; if it is right, run the "
    "command again later.",
    SourceError: "correct the file, or describe it with --format, --encoding, --delimiter, --header or "
    "--sheet; --suggest-mapping prints a mapping file for other names of columns.",
    SourceUnavailable: "check the path and its permissions.",
    MappingError: "correct the mapping file; `publitrac-async sync SOURCE --suggest-mapping` prints one.",
    StateStoreInUse: "run the command again after the other run, or let `sync --wait` wait for its end.",
}


def next_step(error: errors.PublitracError) -> str | None:
    """Return the next step after `error`, ``None`` if its message already contains it."""
    if "pip install" in error.message:
        return None
    return next((NEXT_STEPS[kind] for kind in type(error).__mro__ if kind in NEXT_STEPS), None)


def next_step_after(reason: str) -> str | None:
    """Return the next step for a run that stopped for `reason`, a text such as ``ServerError: ...``."""
    name = reason.partition(":")[0]
    return next((step for kind, step in NEXT_STEPS.items() if kind.__name__ == name), None)
