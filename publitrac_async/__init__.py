"""asyncio client for the PUBLITRAC marketing-automation APIs, v1 (XML) and v2 (JSON)."""

from __future__ import annotations

import logging

from publitrac_async.client import PublitracClient
from publitrac_async.config import BASE_URL, CANADIAN_BASE_URL, RetryPolicy, Timeout
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
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.models import UNSET, Accepted, Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.limits import RateLimiter, WindowLimiter
from publitrac_async.transport.secret import Secret
from publitrac_async.v1 import (
    SALES_STAGES,
    Campaign,
    ClickLink,
    Condition,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    Transaction,
    TransactionItem,
    V1Shapes,
    WebVisit,
    email_campaign_calls,
    field,
)
from publitrac_async.version import __version__

__all__ = [
    "BASE_URL",
    "CANADIAN_BASE_URL",
    "SALES_STAGES",
    "UNSET",
    "Accepted",
    "ApiError",
    "AuthenticationError",
    "Campaign",
    "ClickLink",
    "ClientStateError",
    "Condition",
    "ConfigurationError",
    "Conflict",
    "DeadlineExceeded",
    "EmailCampaign",
    "FilledForm",
    "Lead",
    "LeadNotFound",
    "LimiterUnavailable",
    "NotFound",
    "NotSent",
    "Opportunity",
    "OpportunityRecord",
    "OutcomeUnknown",
    "Page",
    "Pager",
    "PermissionDenied",
    "Problem",
    "PublitracClient",
    "PublitracError",
    "QuotaExhausted",
    "RateLimited",
    "RateLimiter",
    "RetryPolicy",
    "Secret",
    "ServerError",
    "Timeout",
    "Transaction",
    "TransactionItem",
    "TransportError",
    "UnexpectedContent",
    "V1Shapes",
    "ValidationError",
    "WebVisit",
    "WindowLimiter",
    "__version__",
    "email_campaign_calls",
    "field",
]

# A library says nothing unless the application asks: no handler, no level.
logging.getLogger(__name__).addHandler(logging.NullHandler())
