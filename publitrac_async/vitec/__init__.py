"""Vitec Express Connect: leads for estate agents ("PublicAdvertising")."""

from __future__ import annotations

from publitrac_async.config import VITEC_BASE_URL, VITEC_TEST_BASE_URL
from publitrac_async.vitec.checks import length_notes
from publitrac_async.vitec.client import VitecClient, VitecOptions
from publitrac_async.vitec.codec import from_json, to_json
from publitrac_async.vitec.models import (
    ACCEPT_OBJECT_FLOW,
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

__all__ = [
    "ACCEPT_OBJECT_FLOW",
    "VITEC_BASE_URL",
    "VITEC_TEST_BASE_URL",
    "Address",
    "Agent",
    "Email",
    "LeadSource",
    "Marketing",
    "Office",
    "Person",
    "PersonLead",
    "Receiver",
    "Telephone",
    "UserGroup",
    "UtmTag",
    "VitecClient",
    "VitecOptions",
    "from_json",
    "length_notes",
    "to_json",
]


def __dir__() -> list[str]:
    return sorted(__all__)
