"""Checks before sending: problems, which are refused, and notes, which are logged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_type_hints

import attrs

from publitrac_async.checks import not_sendable, refuse
from publitrac_async.errors import Problem
from publitrac_async.models import vendor_name
from publitrac_async.vitec import codec
from publitrac_async.vitec.models import (
    Address,
    Agent,
    Email,
    LeadSource,
    Marketing,
    Office,
    Person,
    PersonLead,
    Receiver,
    Telephone,
    UserGroup,
    UtmTag,
)
from publitrac_async.vitec.operations import NAME

#: Prefix and number: ``M`` a brokerage system, ``S`` sales support, ``G`` a group, ...
_CUSTOMER_ID: Final = re.compile(r"[A-Z][0-9]+")

#: Lengths in characters, from the pages of Vitec's sibling calls (2026-10-04). Copies of other dates differ:
#: 30 for the names, 15 for the personal number.
LENGTHS: Final[Mapping[str, int]] = {
    "person.firstName": 40,
    "person.lastName": 40,
    "person.socialSecurityNumber": 20,
    "person.address.streetAddress": 68,
    "person.address.zipCode": 15,
    "person.address.city": 25,
    "person.email.emailAddress": 100,
    "person.email.emailAddress2": 100,
    "person.telephone.home": 17,
    "person.telephone.work": 17,
    "person.telephone.cell": 17,
    "person.telephone.other": 17,
}

#: Every model, with the types that its fields declare.
_TYPES: Final[Mapping[type, Mapping[str, Any]]] = {
    model: get_type_hints(model)
    for model in (
        *(PersonLead, Person, Address, Email, Telephone, Receiver, Agent, UserGroup, Office),
        *(LeadSource, Marketing, UtmTag),
    )
}


def check_customer_id(customer_id: str) -> None:
    """Refuse a customer id that does not fit in a path.

    Raises:
        ValidationError: it is empty, consists of dots, or has control characters.
    """
    if not customer_id.strip(" .") or not_sendable(customer_id):
        refuse([Problem("a customer id is required, such as M30011", field="customerId")], NAME)


def check_person_lead(lead: PersonLead) -> None:
    """Check what Vitec's page requires: person, names, a way of contact, a lead source, one receiver.

    Raises:
        ValidationError: with every problem found.
    """
    refuse(list(_mistyped(lead, PersonLead, "")) or list(_broken_rules(lead)), NAME)


def length_notes(lead: PersonLead) -> list[Problem]:
    """List the fields that are longer than Vitec's pages allow.

    The pages contradict each other, so a long value is still sent, and the service decides. Every call logs
    these notes as warnings, without the values.

    Args:
        lead: any lead.
    """
    document = codec.to_document(lead)
    notes = []
    for path, length in LENGTHS.items():
        value: Any = document
        for name in path.split("."):
            value = value.get(name, {})
        if len(value) > length:
            notes.append(Problem(f"longer than {length} characters", field=path, value=value))
    return notes


def customer_id_note(customer_id: str) -> Problem | None:
    """Return a note if a customer id does not have the form of those in Vitec's documents."""
    if _CUSTOMER_ID.fullmatch(customer_id):
        return None
    return Problem("not a capital letter and a number, such as M30011", field="customerId")


def _mistyped(value: object, expected: Any, path: str) -> Iterator[Problem]:
    """List values of another type than their model declares, and text that cannot be sent."""
    if expected == tuple[UtmTag, ...]:
        assert isinstance(value, tuple)  # The model converted it.
        for index, tag in enumerate(value):
            yield from _mistyped(tag, UtmTag, f"{path}[{index}]")
    elif not isinstance(value, expected):
        kind = getattr(expected, "__name__", str(expected).rpartition(".")[2])
        yield Problem(f"must be of type {kind}, not {type(value).__name__}", field=path or None)
    elif isinstance(value, str):
        if not_sendable(value):
            yield Problem("must be text without control characters", field=path, value=value)
    elif type(value) in _TYPES:
        for name, kind in _TYPES[type(value)].items():
            part = f"{path}.{vendor_name(name)}".removeprefix(".")
            yield from _mistyped(getattr(value, name), kind, part)


def _broken_rules(lead: PersonLead) -> Iterator[Problem]:
    required = {
        "person.firstName": lead.person.first_name,
        "person.lastName": lead.person.last_name,
        "leadSource.name": lead.lead_source.name,
        "leadSource.leadType": lead.lead_source.lead_type,
    }
    for path, text in required.items():
        if not text.strip():
            yield Problem("is required", field=path)
    if not any(
        text and text.strip()
        for part in (lead.person.email, lead.person.telephone)
        if part is not None
        for text in attrs.astuple(part)
    ):
        yield Problem("needs at least one e-mail address or telephone number", field="person")
    if lead.receiver is not None:
        yield from _receiver_problems(lead)
    for index, tag in enumerate(lead.marketing.utm_tags if lead.marketing else ()):
        if not tag.name.strip():
            yield Problem("is required", field=f"marketing.utmTags[{index}].name")


def _receiver_problems(lead: PersonLead) -> Iterator[Problem]:
    sent = codec.to_document(lead).get("receiver", {})
    branches = [
        vendor_name(name) for name in attrs.fields_dict(Receiver) if getattr(lead.receiver, name) is not None
    ]
    if len(branches) != 1:
        yield Problem("must have exactly one of agent, user group and office", field="receiver")
    for name in branches:
        if name not in sent:
            # An empty branch would be omitted, and the lead would go to another receiver.
            yield Problem("is empty: set an id", field=f"receiver.{name}")
