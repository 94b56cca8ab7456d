"""Histories of leads: visits, clicks, forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publitrac_async.checks import email_problem, refuse
from publitrac_async.models import UNSET
from publitrac_async.v1.building import Request, mandatory, request, too_long
from publitrac_async.v1.leads import done
from publitrac_async.v1.models import ClickLink, FilledForm, WebVisit
from publitrac_async.v1.operations import (
    ADD_CLICK_LINK_HISTORY,
    ADD_FILL_FORM_HISTORY,
    ADD_WEB_VISIT_HISTORY,
    Method,
)
from publitrac_async.v1.records import record_to_wire
from publitrac_async.v1.sending import V1Base


class HistoryOperations(V1Base):
    """Operations on histories of leads.

    A second call adds a second entry, so no call is retried after a lost response.
    """

    async def add_web_visit_history(self, email: str, visit: WebVisit) -> None:
        """Add a visit to the history of a lead ("Add web visit history").

        Args:
            email: address of an existing lead, fewer than 50 characters.
            visit: the visit to record.
        """
        await self._send(web_visit(email, visit))

    async def add_click_link_history(self, email: str, click: ClickLink) -> None:
        """Add a click to the history of a lead ("Add click link history").

        Args:
            email: address of an existing lead, fewer than 50 characters.
            click: the click to record.
        """
        await self._send(click_link(email, click))

    async def add_fill_form_history(self, email: str, form: FilledForm) -> None:
        """Add a form to the history of a lead ("Add fill out form history").

        Args:
            email: address of an existing lead, fewer than 50 characters.
            form: the form to record; its ``form_name`` must exist in PUBLITRAC.
        """
        await self._send(fill_form(email, form))


def web_visit(email: str, visit: WebVisit) -> Request[None]:
    """Build the request of addWebVisitHistory."""
    method = ADD_WEB_VISIT_HISTORY
    return _history(method, email, "webvisitleadhistory", record_to_wire(visit, method.name))


def click_link(email: str, click: ClickLink) -> Request[None]:
    """Build the request of addClickLinkHistory."""
    method = ADD_CLICK_LINK_HISTORY
    return _history(method, email, "clicklinkleadhistory", record_to_wire(click, method.name))


def fill_form(email: str, form: FilledForm) -> Request[None]:
    """Build the request of addFillFormHistory."""
    method = ADD_FILL_FORM_HISTORY
    fields = record_to_wire(form, method.name)
    refuse(mandatory({"formName": fields.get("formName")}), method.name)
    values = form.values
    if isinstance(values, Mapping):
        values = "\n".join(f"{label}: {value}" for label, value in values.items())
    if values is not UNSET:
        fields["values"] = values
    return _history(method, email, "fillformleadhistory", fields)


def _history(method: Method, email: str, root: str, fields: dict[str, Any]) -> Request[None]:
    problems = [problem] if (problem := email_problem(email)) else []
    refuse(problems + too_long(method, {"email": email}), method.name)
    return request(method, done, {"email": email}, {root: fields})
