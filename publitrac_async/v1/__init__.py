"""PUBLITRAC API v1: XML over HTTP ("PUBLITRAC API Reference documentation")."""

from __future__ import annotations

from publitrac_async.v1.campaigns import email_campaign_calls
from publitrac_async.v1.codes import Code
from publitrac_async.v1.facade import V1
from publitrac_async.v1.models import (
    SALES_STAGES,
    Campaign,
    ClickLink,
    EmailCampaign,
    FilledForm,
    Opportunity,
    OpportunityRecord,
    Transaction,
    TransactionItem,
    WebVisit,
)
from publitrac_async.v1.shapes import V1Shapes, comma_separated_keys, empty_elements, repeated_keys

__all__ = [
    "SALES_STAGES",
    "V1",
    "Campaign",
    "ClickLink",
    "Code",
    "EmailCampaign",
    "FilledForm",
    "Opportunity",
    "OpportunityRecord",
    "Transaction",
    "TransactionItem",
    "V1Shapes",
    "WebVisit",
    "comma_separated_keys",
    "email_campaign_calls",
    "empty_elements",
    "repeated_keys",
]


def __dir__() -> list[str]:
    return sorted(__all__)
