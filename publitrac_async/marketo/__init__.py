"""Marketo Engage: the lead database of the REST API ("Leads")."""

from __future__ import annotations

from publitrac_async.marketo.client import MarketoClient, MarketoOptions
from publitrac_async.marketo.mapping import (
    CONSENT_FIELDS,
    STANDARD_FIELDS,
    drop_missing_consent,
    to_marketo,
)
from publitrac_async.marketo.models import (
    Action,
    AttributeAccess,
    DataType,
    LeadAttribute,
    LeadField,
    LeadFieldUpdate,
    LeadInput,
    LeadSchema,
    ListMembership,
    MarketoLead,
    NewLeadField,
    ProgramMembership,
    SchemaField,
    SmartCampaignMembership,
    Value,
    VisitorData,
)
from publitrac_async.marketo.paging import MarketoPage, MarketoPager
from publitrac_async.marketo.raw import Parameters
from publitrac_async.marketo.records import PreparedMarketoLead, prepare_lead
from publitrac_async.marketo.results import FieldResult, Reason, RecordResult, Result

__all__ = [
    "CONSENT_FIELDS",
    "STANDARD_FIELDS",
    "Action",
    "AttributeAccess",
    "DataType",
    "FieldResult",
    "LeadAttribute",
    "LeadField",
    "LeadFieldUpdate",
    "LeadInput",
    "LeadSchema",
    "ListMembership",
    "MarketoClient",
    "MarketoLead",
    "MarketoOptions",
    "MarketoPage",
    "MarketoPager",
    "NewLeadField",
    "Parameters",
    "PreparedMarketoLead",
    "ProgramMembership",
    "Reason",
    "RecordResult",
    "Result",
    "SchemaField",
    "SmartCampaignMembership",
    "Value",
    "VisitorData",
    "drop_missing_consent",
    "prepare_lead",
    "to_marketo",
]


def __dir__() -> list[str]:
    return sorted(__all__)
