"""Read and write leads."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any

from publitrac_async.checks import check_email, check_lead, lead_problems, refuse
from publitrac_async.converters import lead_from_wire, lead_to_wire
from publitrac_async.errors import LeadNotFound, Problem, UnexpectedContent
from publitrac_async.models import Lead
from publitrac_async.pagination import Page
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, mandatory, request, text_of_number
from publitrac_async.v1.elements import lead_of_element
from publitrac_async.v1.operations import (
    DELETE_LEAD,
    GET_LEAD,
    GET_LEAD_BY_EXTERNAL_ID,
    GET_LEAD_BY_TOKEN_ID,
    GET_LEADS,
    SYNC_LEAD,
    Method,
)
from publitrac_async.v1.query import Condition
from publitrac_async.v1.reading import page_of, records_of
from publitrac_async.v1.responses import read_reply, read_reply_in_steps
from publitrac_async.v1.shapes import V1Shapes


def search(conditions: Iterable[Condition], page: int) -> Request[Page[Lead]]:
    """Build the request of getLeads; without conditions it selects all leads."""
    queries = [
        {"field": condition.field, "operator": condition.operator, "value": condition.value}
        for condition in conditions
    ]
    document = {"queries": {"query": queries} if queries else None}
    return pages(GET_LEADS, page, {}, document)


def pages(
    method: Method, page: int, parameters: dict[str, str], document: dict[str, Any] | None = None
) -> Request[Page[Lead]]:
    """Read a page of leads."""
    if page != 1:
        parameters = parameters | {"page": str(page)}
    return request(method, partial(_page_of_leads, page=page), parameters, document)


def by_email(email: str) -> Request[Lead]:
    """Build the request of getLead."""
    check_email(email, GET_LEAD.name)
    return request(GET_LEAD, one_lead, {"email": email})


def by_external_id(external_id: str | int) -> Request[Lead]:
    """Build the request of getLeadByExternalId."""
    parameters = {"externalId": text_of_number(external_id)}
    refuse(mandatory(parameters, {"externalId": 9003}), GET_LEAD_BY_EXTERNAL_ID.name)
    return request(GET_LEAD_BY_EXTERNAL_ID, one_lead, parameters)


def by_token_id(token: str, shapes: V1Shapes) -> Request[Lead]:
    """Build the request of getLeadByTokenId."""
    parameters = {shapes.token_id_parameter: token}
    refuse(mandatory(parameters), GET_LEAD_BY_TOKEN_ID.name)
    return request(GET_LEAD_BY_TOKEN_ID, one_lead, parameters)


def write(method: Method, lead: Lead) -> Request[None]:
    """Build the request of addLead or updateLead: the body of syncLead without its options."""
    check_lead(lead, method.name)
    return request(method, done, document={"lead": lead_element(lead, method)})


def delete(email: str, shapes: V1Shapes) -> Request[None]:
    """Build the request of deleteLead."""
    check_email(email, DELETE_LEAD.name)
    return request(DELETE_LEAD, done, {shapes.email_parameter: email})


def sync(
    lead: Lead,
    *,
    use_token: bool,
    merge_anonymous: bool,
    custom_unicity_keys: Iterable[str],
    shapes: V1Shapes,
) -> Request[None]:
    """Build the request of syncLead. Options precede `<lead>` and are omitted if unset."""
    element = lead_element(lead, SYNC_LEAD)
    keys = list(custom_unicity_keys)
    values = element | (element.get("customFields") or {})
    problems = lead_problems(lead)
    for option, chosen in (("useToken", use_token), ("mergeAnonymous", merge_anonymous)):
        if chosen and _is_empty(values.get("token")):
            problems.append(Problem(f"{option} needs the visitor's token", field="token"))
    problems += [
        Problem("a unicity key needs a value", field=key) for key in keys if _is_empty(values.get(key))
    ]
    refuse(problems, SYNC_LEAD.name)
    if use_token and merge_anonymous:
        warnings.warn(
            "PUBLITRAC's documents use mergeAnonymous with useToken off; both are sent", stacklevel=3
        )
    options: dict[str, Any] = {}
    if use_token:
        options["useToken"] = "true"
    if merge_anonymous:
        options["mergeAnonymous"] = "1"
    if keys:
        options["customUnicityKeys"] = shapes.unicity_keys(keys)
    match shapes.options_place:
        case "before":
            document = options | {"lead": element}
        case "after":
            document = {"lead": element} | options
        case "inside":
            document = {"lead": options | element}
    return request(SYNC_LEAD, done, document=document)


def lead_element(lead: Lead, method: Method) -> dict[str, Any]:
    """Build the children of `<lead>`; requests nest custom fields."""
    native, custom = lead_to_wire(lead, method.name)
    return native | ({"customFields": custom} if custom else {})


def lead_key(lead: Lead) -> Hashable | None:
    """Return the key that identifies a lead of a list."""
    return lead.id if isinstance(lead.id, int) else (lead.email or None)


def one_lead(response: ServiceResponse) -> Steps[Lead]:
    """Read the lead of a response.

    Raises:
        LeadNotFound: the response reports that no lead matches, by an error or an empty `<leads>`. The
            documents do not say which of them is sent.
        UnexpectedContent: the response announces leads that it does not contain, or several.
    """
    reply = yield from read_reply_in_steps(response, lead_of_element)
    leads = leads_of(reply.content.children, page=1)
    if not leads:
        raise LeadNotFound("no lead matches", status=response.status, code=reply.status)
    if len(leads) > 1:
        raise UnexpectedContent(f"{len(leads)} leads arrived in place of one")
    return leads[0]


def done(response: ServiceResponse) -> None:
    """Accept a success without content."""
    read_reply(response)


def _is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _page_of_leads(response: ServiceResponse, *, page: int) -> Steps[Page[Lead]]:
    content = (yield from read_reply_in_steps(response, lead_of_element)).content
    return page_of(content, leads_of(content.children, page=page), page)


def leads_of(content: dict[str, Any], *, page: int) -> list[Lead]:
    """Read the leads of a response.

    Raises:
        UnexpectedContent: the response has no lead and does not say so.
    """
    return [
        found if isinstance(found, Lead) else lead_from_wire(found)
        for found in records_of(content, "leads", "lead", page=page)
    ]
