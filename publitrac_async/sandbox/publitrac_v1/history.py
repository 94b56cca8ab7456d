"""History of leads (PUBLITRAC API reference, Add web visit / click link / fill out form history)."""

from __future__ import annotations

from typing import Final

from publitrac_async.sandbox.publitrac_v1.call import MethodCall, Methods
from publitrac_async.sandbox.publitrac_v1.responses import (
    Envelope,
    envelope,
    invalid_xml,
    no_lead,
)

_MAX_EMAIL_LENGTH: Final = 49
"""The e-mail of these methods has "less than 50 characters"."""

_VISIT: Final = frozenset(
    {"information", "context", "url", "query", "referral", "ip", "userAgent", "sessionId"}
)
_FORM: Final = frozenset({"information", "context", "formName", "url", "values", "sessionId"})


def add_web_visit_history(call: MethodCall) -> Envelope:
    """Add a page view to a lead's history."""
    return _add(call, "webvisitleadhistory", _VISIT, 3002, "Add web page history")


def add_click_link_history(call: MethodCall) -> Envelope:
    """Add a click to a lead's history."""
    return _add(call, "clicklinkleadhistory", _VISIT, 3003, "Add click link history")


def add_fill_form_history(call: MethodCall) -> Envelope:
    """Add a submitted form to a lead's history; the form must exist."""
    return _add(call, "fillformleadhistory", _FORM, 3004, "Add fill form history")


def _add(call: MethodCall, element: str, known: frozenset[str], status: int, subject: str) -> Envelope:
    entry = call.request().child(element)
    if entry is None:
        raise invalid_xml()
    fields = {child.name: child.text for child in entry.children}
    account = call.account
    email = call.text("email")
    leads = account.leads.by_email(email) if email else []
    errors = [f"Unknown element ({name})" for name in fields if name not in known]
    if len(email) > _MAX_EMAIL_LENGTH:
        errors.append("Email must contain less than 50 characters")
    elif not leads:
        errors.append(no_lead(email))
    if "formName" in known and not account.history.has_form(fields.get("formName", "")):
        errors.append(f"Form ({fields.get('formName', '')}) does not exist.")
    if errors:
        raise call.failed(f"{subject} failed.", errors)
    account.history.add(leads[0].id, element, fields)
    account.leads.touch(leads[0].id)
    return envelope(status, f"{subject} success.", applied=True)


METHODS: Final[Methods] = {
    "addWebVisitHistory": ("POST", add_web_visit_history),
    "addClickLinkHistory": ("POST", add_click_link_history),
    "addFillFormHistory": ("POST", add_fill_form_history),
}
