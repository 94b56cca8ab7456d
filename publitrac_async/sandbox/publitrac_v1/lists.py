"""Lists and views (PUBLITRAC API reference, Get View, Get List, Add leads to list, Codes d'erreurs).

The documents have only the errors of addLeadToList and removeLeadFromList. List and lead are accepted as
parameters (`listName`, `email`) and in the XML of addLeadsToList.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from publitrac_async.sandbox.publitrac.lists import LeadList
from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods
from publitrac_async.sandbox.publitrac_v1.leads import lead_page
from publitrac_async.sandbox.publitrac_v1.responses import (
    LEAD_NOT_FOUND,
    LIST_FILTERED,
    LIST_NOT_FOUND,
    VIEW_NOT_FOUND,
    Envelope,
    FailedError,
    envelope,
    error,
    no_lead,
)

MAX_NAME_LENGTH: Final = 49
"""Names of lists and campaigns have "less than 50 characters"."""

_ADD_FAILED: Final = 9013
_REMOVE_FAILED: Final = 9014
_FILTERED: Final = (
    "You are trying to insert a lead inside a filtered list, "
    "this operation is only permitted on static lists."
)


def get_view(call: MethodCall) -> Envelope:
    """Return the leads of a filtered list."""
    name = call.text("viewName")
    found = call.account.lists.find(name)
    if found is None or not found.filtered:
        text = f"View ({name}) does not exist." if name else "View name is required"
        raise FailedError(VIEW_NOT_FOUND, "Get view failed.", [error(VIEW_NOT_FOUND, text)])
    return lead_page(call, *found.where(), status=2001, message="Get leads success.")


def get_list(call: MethodCall) -> Envelope:
    """Return the leads of a static list. The sample uses the parameter `viewName`, the text `listName`."""
    name = call.text("listName", "viewName")
    found = call.account.lists.find(name)
    if found is None or found.filtered:
        raise FailedError(LIST_NOT_FOUND, "Get list failed.", [_no_list(name)])
    page = lead_page(call, *found.where(), status=2001, message="Get list success.")
    return evolve(page, unclosed=call.settings.get_list_unclosed)


def add_lead_to_list(call: MethodCall) -> Envelope:
    """Add one lead to an existing static list."""
    name, email = _list_name(call), _lead_email(call)
    account = call.account
    target = account.lists.find(name)
    leads = account.leads.by_email(email) if email else []
    errors = _list_errors(target, name)
    if not leads:
        errors.append(no_lead(email))
    if errors or target is None:
        raise FailedError(_ADD_FAILED, "Add lead to list failed.", errors)
    account.lists.add(target, leads[0].id)
    account.leads.touch(leads[0].id)
    return envelope(2009, "Add lead to list success.", applied=True)


def add_leads_to_list(call: MethodCall) -> Envelope:
    """Add leads to a static list, which is created if missing."""
    request = call.request()
    name = request.value("list", "name")
    account = call.account
    target = account.lists.find(name)
    errors = _list_errors(target, name) if target or not name else []
    if len(name) > MAX_NAME_LENGTH:
        errors.append("The list name must contain less than 50 characters")
    emails = [lead.value("email") for group in request.all("leads") for lead in group.all("lead")]
    if not emails:
        errors.append("lead is required")
    if errors:
        raise FailedError(_ADD_FAILED, "Add Leads To List failed.", errors)
    found = {email: account.leads.by_email(email) if email else [] for email in emails}
    missing = [error(LEAD_NOT_FOUND, f"({email}) Leads not found.") for email in emails if not found[email]]
    to_add = [leads[0] for leads in found.values() if leads]
    if missing and not call.settings.partial_list_additions:
        to_add = []
    if to_add:
        target = target or account.lists.create(name)
        for lead in to_add:
            account.lists.add(target, lead.id)
            account.leads.touch(lead.id)
    if missing:
        raise FailedError(_ADD_FAILED, "Add Leads To List failed.", missing, applied=bool(to_add))
    return envelope(2009, "Add leads to list success.", applied=True)


def remove_lead_from_list(call: MethodCall) -> Envelope:
    """Remove a lead from a static list; a lead that is not on it is not an error."""
    name, email = _list_name(call), _lead_email(call)
    account = call.account
    target = account.lists.find(name)
    leads = account.leads.by_email(email) if email else []
    errors: list[str] = []
    if target is None:
        text = "List does not exist." if name else "List name is required"
        errors.append(error(LIST_NOT_FOUND, text))
    elif target.filtered:
        errors.append(error(LIST_FILTERED, _FILTERED))
    if not leads:
        text = "Lead does not exist." if email else "Lead email address is required"
        errors.append(error(LEAD_NOT_FOUND, text))
    if errors or target is None:
        raise FailedError(_REMOVE_FAILED, "Remove lead from list failed.", errors)
    account.lists.remove(target, leads[0].id)
    account.leads.touch(leads[0].id)
    return envelope(2008, "Remove lead from list success.", applied=True)


def _list_errors(target: LeadList | None, name: str) -> list[str]:
    if target is None:
        return [_no_list(name)]
    return [error(LIST_FILTERED, _FILTERED)] if target.filtered else []


def _no_list(name: str) -> str:
    return error(LIST_NOT_FOUND, f"List ({name}) does not exist." if name else "List name is required")


def _list_name(call: MethodCall) -> str:
    return call.annex(call.settings.list_name_parameters, ("list", "name"))


def _lead_email(call: MethodCall) -> str:
    return call.annex(call.settings.email_parameters, ("lead", "email"), ("leads", "lead", "email"))


METHODS: Final[Methods] = {
    "getView": ("GET", get_view),
    "getList": ("GET", get_list),
    "addLeadToList": ("", add_lead_to_list),
    "addLeadsToList": ("POST", add_leads_to_list),
    "removeLeadFromList": ("", remove_lead_from_list),
}
