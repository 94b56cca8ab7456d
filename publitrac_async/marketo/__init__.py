"""Marketo Engage: the lead database of the REST API ("Leads")."""

from __future__ import annotations

from publitrac_async.marketo.client import MarketoClient
from publitrac_async.marketo.mapping import STANDARD_FIELDS, to_marketo
from publitrac_async.marketo.models import (
    Action,
    AttributeAccess,
    DataType,
    FieldResult,
    LeadAttribute,
    LeadField,
    LeadFieldUpdate,
    LeadInput,
    LeadSchema,
    ListMembership,
    MarketoLead,
    NewLeadField,
    ProgramMembership,
    Reason,
    RecordResult,
    Result,
    SchemaField,
    SmartCampaignMembership,
    Value,
    VisitorData,
)
from publitrac_async.marketo.paging import MarketoPage, MarketoPager

__all__ = [
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
    "MarketoPage",
    "MarketoPager",
    "NewLeadField",
    "ProgramMembership",
    "Reason",
    "RecordResult",
    "Result",
    "SchemaField",
    "SmartCampaignMembership",
    "Value",
    "VisitorData",
    "to_marketo",
]
