"""Builds the XML that travels in the `query` parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import xmltodict

from publitrac_async.checks import check_lead, not_sendable
from publitrac_async.converters import lead_to_wire
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead
from publitrac_async.v1.operations import GET_LEADS, SYNC_LEAD
from publitrac_async.v1.query import Condition


def to_xml(request: Mapping[str, Any]) -> str:
    """A `<request>` document with these children.

    Text may hold anything that XML 1.0 can carry; names come from the callers of this room, which check
    those they do not write themselves.
    """
    document: str = xmltodict.unparse({"request": request}, short_empty_elements=False)
    # A bare carriage return would be read back as a line feed (XML 1.0, 2.11).
    return document.replace("\r", "&#13;")


def search(conditions: Iterable[Condition]) -> str:
    """The query of getLeads; without conditions it asks for all leads.

    Raises:
        ValidationError: a condition holds characters that cannot be sent.
    """
    queries = []
    for condition in conditions:
        parts = {"field": condition.field, "operator": condition.operator, "value": condition.value}
        for name, text in parts.items():
            check_text(name, text, GET_LEADS.name)
        queries.append(parts)
    return to_xml({"queries": {"query": queries} if queries else None})


def sync_lead(
    lead: Lead, *, use_token: bool, merge_anonymous: bool, custom_unicity_keys: Iterable[str]
) -> str:
    """The query of syncLead. Options stand before `<lead>` and are left out when they are not set.

    Raises:
        ValidationError: the e-mail address, a needed token, a key's value or a name is missing or bad.
    """
    name = SYNC_LEAD.name
    check_lead(lead, name)
    keys = list(custom_unicity_keys)
    native, custom = lead_to_wire(lead, name)
    problems = []
    if (use_token or merge_anonymous) and not native.get("token"):
        option = "useToken" if use_token else "mergeAnonymous"
        problems.append(Problem(f"{option} needs the visitor's token", field="token"))
    problems += [
        Problem("a unicity key needs a value", field=key)
        for key in keys
        if native.get(key) in (None, "") and custom.get(key) in (None, "")
    ]
    if problems:
        raise ValidationError("; ".join(map(str, problems)), problems=problems, operation=name)
    request: dict[str, Any] = {}
    if use_token:
        request["useToken"] = "true"
    if merge_anonymous:
        request["mergeAnonymous"] = "1"
    if keys:
        # The documents name this option without showing its shape; the names travel as repeated <key>.
        request["customUnicityKeys"] = {"key": keys}
    if custom:
        native["customFields"] = custom
    request["lead"] = native
    return to_xml(request)


def check_text(name: str, text: str, operation: str) -> None:
    """Refuse what XML cannot carry.

    Raises:
        ValidationError: `text` holds control characters or lone surrogates.
    """
    if not_sendable(text):
        problem = Problem("must be text without control characters", field=name, value=text)
        raise ValidationError(str(problem), problems=[problem], operation=operation)
