"""asyncio client for the PUBLITRAC marketing-automation APIs, v1 (XML) and v2 (JSON)."""

from __future__ import annotations

import logging

from publitrac_async.client import PublitracClient, PublitracOptions
from publitrac_async.config import (
    BASE_URL,
    BULK_RETRY,
    BULK_TIMEOUT,
    CANADIAN_BASE_URL,
    Rate,
    RetryPolicy,
    Timeout,
)
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    LeadNotFound,
    LimiterUnavailable,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    Problem,
    PublitracError,
    QueueTimeout,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.many import LeadOutcome
from publitrac_async.models import UNSET, Accepted, Lead, Unset
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.auth import Token, TokenLease, TokenStore
from publitrac_async.transport.base import CallOptions, ClientOptions
from publitrac_async.transport.events import (
    AnyRunEvent,
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallEvent,
    CallOutcome,
    CallStarted,
    ChunkEnded,
    ChunkStarted,
    Event,
    HeaderHook,
    Hook,
    QueueLeft,
    RequestSent,
    RetryScheduled,
    RowsCompleted,
    RunEnded,
    RunEvent,
    RunHook,
    RunStarted,
    TokenRenewed,
)
from publitrac_async.transport.limits import RateLimiter, Slots, WindowLimiter
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.trace import Trace
from publitrac_async.v1.query import Condition, FieldName, field
from publitrac_async.version import __version__

__all__ = [
    "BASE_URL",
    "BULK_RETRY",
    "BULK_TIMEOUT",
    "CANADIAN_BASE_URL",
    "UNSET",
    "Accepted",
    "AnyRunEvent",
    "ApiError",
    "AttemptEnded",
    "AttemptStarted",
    "AuthenticationError",
    "CallEnded",
    "CallEvent",
    "CallOptions",
    "CallOutcome",
    "CallStarted",
    "ChunkEnded",
    "ChunkStarted",
    "ClientOptions",
    "ClientStateError",
    "Condition",
    "ConfigurationError",
    "Conflict",
    "DeadlineExceeded",
    "Event",
    "FieldName",
    "HeaderHook",
    "Hook",
    "Lead",
    "LeadNotFound",
    "LeadOutcome",
    "LimiterUnavailable",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "Page",
    "Pager",
    "PermissionDenied",
    "Problem",
    "PublitracClient",
    "PublitracError",
    "PublitracOptions",
    "QueueLeft",
    "QueueTimeout",
    "QuotaExhausted",
    "Rate",
    "RateLimited",
    "RateLimiter",
    "RequestSent",
    "RetryPolicy",
    "RetryScheduled",
    "RowsCompleted",
    "RunEnded",
    "RunEvent",
    "RunHook",
    "RunStarted",
    "Secret",
    "ServerError",
    "Slots",
    "Timeout",
    "Token",
    "TokenLease",
    "TokenRenewed",
    "TokenStore",
    "Trace",
    "TransportError",
    "UnexpectedContent",
    "Unset",
    "ValidationError",
    "WindowLimiter",
    "__version__",
    "field",
]

# Libraries are silent unless the application configures logging: no handler, no level.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __dir__() -> list[str]:
    return sorted(__all__)
