"""Opportunities (PUBLITRAC API reference, Get opportunities, Sync opportunity, Objet opportunité)."""

from __future__ import annotations

import re
from typing import Final

from publitrac_async.sandbox.publitrac.validation import is_date, is_integer
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods, paging, shown_page
from publitrac_async.sandbox.publitrac_v1.responses import (
    EXTERNAL_ID_NOT_DEFINED,
    INTEGER_INVALID,
    Envelope,
    envelope,
    error,
    no_lead,
)
from publitrac_async.sandbox.xml import Element, Node

SALES_STAGES: Final = (
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Perception Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)

_STORED_AS: Final = {
    "id": "External_id",
    "name": "Name",
    "description": "Description",
    "type": "Opportunity_Type",
    "accountName": "Account_Name",
    "salesStage": "Sales_Stage",
    "campaignName": "Campaign_Name",
    "leadSource": "Lead_Source",
    "amount": "Amount",
    "dateClosed": "Date_Closed",
    "probability": "Probability",
}
_DAY_FIRST: Final = re.compile(r"[0-3][0-9]/[01][0-9]/[0-9]{4}")
"""The text asks for yyyy-mm-dd, the sample of Sync opportunity sends 20/08/2012: both are taken."""


def get_opportunities(call: MethodCall) -> Envelope:
    """Return all opportunities. The sample breaks the line inside `<page>`, so does this response."""
    store, size = call.account.opportunities, call.settings.opportunity_page_size
    total = store.count()
    number = shown_page(call, total=total, size=size)
    page = [
        Element("opportunity", [Element(name, value) for name, value in opportunity.as_dict().items()])
        for opportunity in store.page(number=number, size=size)
    ]
    payload = [
        Element("opportunities", page),
        paging(f"{number}\n            ", items=len(page), offset=size, total=total),
    ]
    return envelope(5001, "Get opportunities success.", payload)


def sync_opportunity(call: MethodCall) -> Envelope:
    """Create an opportunity, or update the one with its id."""
    sent = call.request().child("opportunity")
    if sent is None:
        raise call.failed(_FAILED, ["opportunity is required"])
    fields = {child.name: child.text for child in sent.children if child.name != "leads"}
    crm_lead_ids = [lead.text for group in sent.all("leads") for lead in group.all("leadId") if lead.text]
    found = {name: call.account.leads.by_value("crmLeadId", name) for name in crm_lead_ids}
    errors = _errors(sent) + [no_lead(crm_lead_id) for crm_lead_id in found if not found[crm_lead_id]]
    if errors:
        raise call.failed(_FAILED, errors)
    lead_ids = [leads[0].id for leads in found.values()]
    call.account.opportunities.sync(
        {_STORED_AS[name]: value for name, value in fields.items()},
        lead_ids,
    )
    for lead_id in lead_ids:
        call.account.leads.touch(lead_id)
    return envelope(5002, "Opportunity synchronized.", applied=True)


_FAILED: Final = "Opportunity synchronization failed."


def _errors(sent: Node) -> list[str]:
    names = [child.name for child in sent.children]
    errors = [f"Unknown element ({name})" for name in names if name not in _STORED_AS and name != "leads"]
    if not sent.value("id"):
        errors.append(error(EXTERNAL_ID_NOT_DEFINED, "External id is not defined"))
    errors += [f"{name} is required" for name in ("name", "salesStage") if not sent.value(name)]
    if not sent.value("leads", "leadId"):
        errors.append("leads is required")
    stage, closed = sent.value("salesStage"), sent.value("dateClosed")
    if stage and stage not in SALES_STAGES:
        errors.append(f"salesStage ({stage}) is invalid")
    if not is_integer(sent.value("amount")):
        errors.append(error(INTEGER_INVALID, f"Amount ({sent.value('amount')}) must be a valid integer"))
    if not closed and stage.startswith("Closed"):
        errors.append("dateClosed is required")
    elif closed and not is_date(closed) and not _DAY_FIRST.fullmatch(closed):
        errors.append(f"dateClosed ({closed}) must be yyyy-mm-dd")
    probability = sent.value("probability")
    if not is_integer(probability) or not 1 <= int(probability) <= 100:
        errors.append(f"probability ({probability}) must be an integer from 1 to 100")
    return errors


METHODS: Final[Methods] = {
    "getOpportunities": ("GET", get_opportunities),
    "syncOpportunity": ("POST", sync_opportunity),
}
