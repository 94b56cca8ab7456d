"""Table of the methods of API v1, for comparison with the vendor's page.

All have one URL; the method is a parameter. Status and message of success are quoted from the documents. The
client does not rely on them, because they are not distinct: four methods share 2001.

A new method has a constant here, listed in `METHODS`, and its code in the module of its subject, such as
`v1/lists.py`. `CONTRIBUTING.md` has all steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import field, frozen

from publitrac_async.transport.operation import Operation, OperationClass

READ, UPSERT, APPEND = OperationClass.READ, OperationClass.UPSERT, OperationClass.APPEND


@frozen(kw_only=True)
class Method(Operation):
    """Row of the table.

    Attributes:
        success: status and message of success in the documents.
        source: ``page`` if the method has a section in the documents; ``annex`` if they list only its errors,
            ``constant`` if only its status: then its verb and parameters are inferred.
        page_size: records on a page, by the vendor's sample.
        limits: maximum characters of a text or items of a list, by the vendor's name. The documents say
            "fewer than 50" of texts and "at most 50" of leads.
    """

    success: str
    source: Literal["page", "annex", "constant"] = "page"
    page_size: int | None = None
    limits: Mapping[str, int] = field(factory=dict)


_NO_LIMITS: Final[Mapping[str, int]] = {}


def method(
    name: str,
    verb: str,
    operation_class: OperationClass,
    success: str = "",
    source: Literal["page", "annex", "constant"] = "page",
    *,
    page_size: int | None = None,
    limits: Mapping[str, int] = _NO_LIMITS,
) -> Method:
    """Return the row of a method, which need not be in the table."""
    return Method(
        name=name,
        verb=verb,
        path=f"/api?method={name}",
        operation_class=operation_class,
        success=success,
        source=source,
        page_size=page_size,
        limits=limits,
    )


GET_LEADS: Final = method("getLeads", "GET", READ, "2001 Get leads success.", page_size=100)
GET_LEAD: Final = method("getLead", "GET", READ, "2002 Get lead success.")
GET_LEAD_BY_EXTERNAL_ID: Final = method(
    "getLeadByExternalId", "GET", READ, "2010 getLeadByExternalId success."
)
GET_LEAD_BY_TOKEN_ID: Final = method(
    "getLeadByTokenId", "GET", READ, "2002 getLeadByTokenId success.", "annex"
)
ADD_LEAD: Final = method("addLead", "POST", APPEND, "2003 Create new lead success.", "annex")
UPDATE_LEAD: Final = method("updateLead", "POST", UPSERT, "2004 Leads updated successfully.", "annex")
DELETE_LEAD: Final = method("deleteLead", "POST", UPSERT, "2005", "constant")
SYNC_LEAD: Final = method("syncLead", "POST", UPSERT, "2006 Leads synchronization successfull.")

GET_VIEW: Final = method("getView", "GET", READ, "2001 Get leads success.", page_size=100)
GET_LIST: Final = method("getList", "GET", READ, "2001 Get list success.", page_size=100)
ADD_LEAD_TO_LIST: Final = method(
    "addLeadToList", "POST", UPSERT, "2009 Add lead to list success.", "annex", limits={"listName": 49}
)
ADD_LEADS_TO_LIST: Final = method(
    "addLeadsToList", "POST", UPSERT, "2009 Add leads to list success.", limits={"listName": 49}
)
REMOVE_LEAD_FROM_LIST: Final = method(
    "removeLeadFromList", "POST", UPSERT, "2008 Remove lead from list success.", "annex"
)

ADD_WEB_VISIT_HISTORY: Final = method(
    "addWebVisitHistory", "POST", APPEND, "3002 Add web page history success.", limits={"email": 49}
)
ADD_CLICK_LINK_HISTORY: Final = method(
    "addClickLinkHistory", "POST", APPEND, "3003 Add click link history success.", limits={"email": 49}
)
ADD_FILL_FORM_HISTORY: Final = method(
    "addFillFormHistory", "POST", APPEND, "3004 Add fill form history success.", limits={"email": 49}
)

GET_CAMPAIGNS: Final = method("getCampaigns", "GET", READ, "5001 Get campaigns success.")
EXECUTE_CAMPAIGN: Final = method(
    "executeCampaign", "POST", APPEND, "1100 Execute campaigns on leads success."
)
ADD_EMAIL_CAMPAIGN: Final = method(  # "GET/POST": a method that changes something sends a body.
    "addEmailCampaign",
    "POST",
    APPEND,
    "2001 Lead emails synchronization successfull.",
    limits={"name": 49, "leads": 50},
)

GET_OPPORTUNITIES: Final = method(
    "getOpportunities", "GET", READ, "5001 Get opportunities success.", page_size=200
)
SYNC_OPPORTUNITY: Final = method("syncOpportunity", "POST", UPSERT, "5002 Opportunity synchronized.")

#: "E-Commerce Transactions": no method name, no URL, no XML; the response is only an HTTP status.
ADD_TRANSACTION: Final = Method(
    name="transaction", verb="POST", path="", operation_class=APPEND, success="HTTP 200 OK"
)

METHODS: Final[Mapping[str, Method]] = {
    row.name: row
    for row in (
        GET_LEADS,
        GET_LEAD,
        GET_LEAD_BY_EXTERNAL_ID,
        GET_LEAD_BY_TOKEN_ID,
        ADD_LEAD,
        UPDATE_LEAD,
        DELETE_LEAD,
        SYNC_LEAD,
        GET_VIEW,
        GET_LIST,
        ADD_LEAD_TO_LIST,
        ADD_LEADS_TO_LIST,
        REMOVE_LEAD_FROM_LIST,
        ADD_WEB_VISIT_HISTORY,
        ADD_CLICK_LINK_HISTORY,
        ADD_FILL_FORM_HISTORY,
        GET_CAMPAIGNS,
        EXECUTE_CAMPAIGN,
        ADD_EMAIL_CAMPAIGN,
        GET_OPPORTUNITIES,
        SYNC_OPPORTUNITY,
    )
}
