"""Lists and views: read their members, add and remove leads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from publitrac_async.checks import email_problem, refuse
from publitrac_async.errors import LeadNotFound
from publitrac_async.models import Lead
from publitrac_async.pagination import Page
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.v1.building import Request, mandatory, request, too_long
from publitrac_async.v1.leads import done, pages
from publitrac_async.v1.operations import ADD_LEADS_TO_LIST, GET_LIST, GET_VIEW, Method
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.shapes import V1Shapes


def view(view_name: str, page: int) -> Request[Page[Lead]]:
    """Build the request of getView; the name is sent without the quotes of the documents."""
    parameters = {"viewName": view_name}
    refuse(mandatory(parameters, {"viewName": 9010}), GET_VIEW.name)
    return pages(GET_VIEW, page, parameters)


def members(list_name: str, page: int) -> Request[Page[Lead]]:
    """Build the request of getList; the parameter is listName, although the sample URL has viewName."""
    parameters = {"listName": list_name}
    refuse(mandatory(parameters, {"listName": 9009}), GET_LIST.name)
    return pages(GET_LIST, page, parameters)


def membership(method: Method, email: str, list_name: str, shapes: V1Shapes) -> Request[None]:
    """Build the request of addLeadToList or removeLeadFromList: two plain parameters, as in the annex."""
    problems = [*mandatory({"listName": list_name}, {"listName": 9009})]
    problems += too_long(method, {"listName": list_name})
    problems += [problem] if (problem := email_problem(email)) else []
    refuse(problems, method.name)
    return request(method, done, {shapes.list_name_parameter: list_name, shapes.email_parameter: email})


def add_leads(emails: Iterable[str], list_name: str) -> Request[None]:
    """Build the request of addLeadsToList."""
    addresses = list(emails)
    method = ADD_LEADS_TO_LIST
    problems = mandatory({"listName": list_name, "leads": addresses}, {"listName": 9009})
    problems += too_long(method, {"listName": list_name})
    problems += [problem for address in addresses if (problem := email_problem(address))]
    refuse(problems, method.name)
    document = {"list": {"name": list_name}, "leads": {"lead": [{"email": address} for address in addresses]}}
    return request(method, partial(_added, asked=len(addresses)), document=document)


def _added(response: ServiceResponse, *, asked: int) -> None:
    try:
        read_reply(response)
    except LeadNotFound as error:
        # The documents do not say if the existing leads are added.
        error.maybe_applied = len(error.problems) < asked
        raise
