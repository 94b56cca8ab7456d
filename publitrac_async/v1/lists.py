"""Lists and views: read their members, add and remove leads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from publitrac_async.checks import email_problem, refuse
from publitrac_async.config import READ_AHEAD
from publitrac_async.errors import LeadNotFound
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, mandatory, request, too_long
from publitrac_async.v1.leads import done, lead_key, pages
from publitrac_async.v1.operations import (
    ADD_LEAD_TO_LIST,
    ADD_LEADS_TO_LIST,
    GET_LIST,
    GET_VIEW,
    REMOVE_LEAD_FROM_LIST,
    Method,
)
from publitrac_async.v1.responses import read_reply
from publitrac_async.v1.sending import V1Base
from publitrac_async.v1.shapes import V1Shapes


class ListOperations(V1Base):
    """Operations on lists and views."""

    def get_view(self, view_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Get the leads of a filtered list ("Get view").

        Args:
            view_name: name of the filtered list.
            page: first page, from 1; a page has 100 leads.
            read_ahead: maximum pages to fetch ahead; 0 to fetch each on demand, see `Pager`.

        Raises:
            NotFound: the view does not exist.
        """
        return self._pager(GET_VIEW, lambda number: view(view_name, number), page, lead_key, read_ahead)

    def get_list(self, list_name: str, *, page: int = 1, read_ahead: int = READ_AHEAD) -> Pager[Lead]:
        """Get the leads of a static list ("Get list").

        Args:
            list_name: name of the list.
            page: first page, from 1; a page has 100 leads.
            read_ahead: maximum pages to fetch ahead; 0 to fetch each on demand, see `Pager`.

        Raises:
            NotFound: the list does not exist.
        """
        return self._pager(GET_LIST, lambda number: members(list_name, number), page, lead_key, read_ahead)

    async def add_lead_to_list(self, email: str, list_name: str) -> None:
        """Add a lead to an existing static list (documents: annex).

        Args:
            email: address of an existing lead.
            list_name: fewer than 50 characters.

        Raises:
            LeadNotFound: the lead does not exist.
            NotFound: the list does not exist.
        """
        await self._send(membership(ADD_LEAD_TO_LIST, email, list_name, self._shapes))

    async def add_leads_to_list(self, emails: Iterable[str], list_name: str) -> None:
        """Add leads to a static list, which is created if missing ("Add leads to list").

        Args:
            emails: addresses of existing leads.
            list_name: name of the list, fewer than 50 characters.

        Raises:
            LeadNotFound: some leads do not exist: ``[problem.value for problem in error.problems]``. The
                documents do not specify if the others are added, so ``error.maybe_applied`` is true.
        """
        await self._send(add_leads(emails, list_name))

    async def remove_lead_from_list(self, email: str, list_name: str) -> None:
        """Remove a lead from a static list (documents: annex).

        Args:
            email: address of an existing lead.
            list_name: fewer than 50 characters.

        Raises:
            LeadNotFound: the lead does not exist.
            NotFound: the list does not exist.
        """
        await self._send(membership(REMOVE_LEAD_FROM_LIST, email, list_name, self._shapes))


def view(view_name: str, page: int) -> Request[Page[Lead]]:
    """Build the request of getView. The documents show the name in quotes, which are not sent."""
    parameters = {"viewName": view_name}
    refuse(mandatory(parameters, {"viewName": 9010}), GET_VIEW.name)
    return pages(GET_VIEW, page, parameters)


def members(list_name: str, page: int) -> Request[Page[Lead]]:
    """Build the request of getList. The parameter is listName, although the sample URL has viewName."""
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
    return request(method, partial(_added, requested=len(addresses)), document=document)


def _added(response: ServiceResponse, *, requested: int) -> Steps[None]:
    try:
        yield from read_reply(response)
    except LeadNotFound as error:
        # The documents do not specify if the existing leads are added.
        error.maybe_applied = len(error.problems) < requested
        raise
