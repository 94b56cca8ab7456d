"""Read leads: getLeads and the three ways to get one lead (PUBLITRAC API reference).

The documents have only the errors of getLeadByTokenId. The name of its parameter, `tokenId`, is a guess, so
`tokId` and `token` are also accepted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from publitrac_async.sandbox.publitrac.fields import NATIVE_FIELDS
from publitrac_async.sandbox.publitrac.leads import Lead
from publitrac_async.sandbox.publitrac.search import Condition, where
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods, paging, shown_page
from publitrac_async.sandbox.publitrac_v1.responses import (
    LEAD_NOT_FOUND,
    Envelope,
    FailedError,
    envelope,
    error,
    invalid_xml,
)
from publitrac_async.sandbox.xml import Element, Node

_RETURNED: Final = tuple(item.name for item in NATIVE_FIELDS if item.returned)
_FAILED: Final = 9015
_TOKEN: Final = re.compile(r"_nl-.{1,76}-[0-9]{13}-[0-9]{5}")
"""`_nl-<domain>-<milliseconds>-<number>`, at most 100 characters (samples and list of fields)."""


def get_leads(call: MethodCall) -> Envelope:
    """Search leads; no condition means all of them."""
    queries = call.request().child("queries")
    if queries is None:
        raise invalid_xml()
    conditions = [_condition(call, query) for query in queries.all("query")]
    return lead_page(
        call, *where(conditions, call.settings.conditions_combine), status=2001, message="Get leads success."
    )


def get_lead(call: MethodCall) -> Envelope:
    """Find a lead by its e-mail."""
    email = call.text("email")
    return _one_lead(
        call,
        call.account.leads.by_email(email) if email else [],
        success=(2002, "Get lead success."),
        failure="Get lead failed.",
    )


def get_lead_by_external_id(call: MethodCall) -> Envelope:
    """Find a lead by the id that syncLead stored as `crmLeadId`."""
    external_id = call.text("externalId")
    return _one_lead(
        call,
        call.account.leads.by_value("crmLeadId", external_id) if external_id else [],
        success=(2010, "getLeadByExternalId success."),
        failure="getLeadByExternalId failed.",
    )


def get_lead_by_token_id(call: MethodCall) -> Envelope:
    """Find a lead by the value of its tracking cookie."""
    token = call.text(*sorted(call.settings.token_id_parameters))
    failure = "getLeadByTokenId failed."
    if not token:
        raise FailedError(_FAILED, failure, ["Tok Id is required"])
    if not _TOKEN.fullmatch(token):
        raise FailedError(_FAILED, failure, ["Tok Id is invalid"])
    found = call.account.leads.by_value("token", token)
    return _one_lead(call, found, success=(2002, "getLeadByTokenId success."), failure=failure)


def lead_page(
    call: MethodCall, condition: str, parameters: Sequence[Any], *, status: int, message: str
) -> Envelope:
    """Return the requested page of the leads for which an SQL condition holds."""
    leads, size = call.account.leads, call.settings.page_size
    total = leads.count(condition, parameters)
    number = shown_page(call, total=total, size=size)
    page = leads.page(condition, parameters, number=number, size=size)
    payload = [
        Element("leads", [lead_element(lead) for lead in page]),
        paging(str(number), items=len(page), offset=size, total=total),
    ]
    return envelope(status, message, payload)


def lead_element(lead: Lead) -> Element:
    """Return a lead in the form of responses: native fields in fixed order, then the custom ones."""
    values = lead.values
    fields = [Element(name, values[name]) for name in _RETURNED]
    fields += [Element(name, value) for name, value in lead.custom.items()]
    return Element("lead", fields)


def _one_lead(call: MethodCall, found: list[Lead], *, success: tuple[int, str], failure: str) -> Envelope:
    leads = [lead_element(lead) for lead in found[:1]]
    if not leads:
        missing = call.settings.missing_lead_response
        if missing in ("9015", "9005", "404"):
            status = LEAD_NOT_FOUND if missing == "9005" else _FAILED
            errors = [error(LEAD_NOT_FOUND, "lead not found")]
            raise FailedError(status, failure, errors, http_status=404 if missing == "404" else None)
        if missing == "blank":
            leads = [Element("lead", [Element(name) for name in _RETURNED])]
    return envelope(*success, [Element("leads", leads)])


def _condition(call: MethodCall, query: Node) -> Condition:
    condition = Condition(query.value("field"), query.value("operator"), query.value("value"))
    if not condition.supported or condition.operator.lower() not in call.settings.operators:
        raise call.failed("Get leads failed.", [f"Query on ({condition.field}) is not supported"])
    return condition


METHODS: Final[Methods] = {
    "getLeads": ("GET", get_leads),
    "getLead": ("GET", get_lead),
    "getLeadByExternalId": ("GET", get_lead_by_external_id),
    "getLeadByTokenId": ("", get_lead_by_token_id),
}
