"""Leads and samples for the tests of Vitec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from publitrac_async.vitec import Email, LeadSource, Person, PersonLead

SAMPLES = Path(__file__).parents[1] / "samples" / "vitec"
NUMBER = "19121212-1212"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def person(**changes: Any) -> Person:
    anna = Person(
        first_name="Anna",
        last_name="Åström",
        social_security_number=NUMBER,
        email=Email(email_address="anna@example.com"),
    )
    return attrs.evolve(anna, **changes)


def lead(**changes: Any) -> PersonLead:
    return attrs.evolve(PersonLead(person=person(), lead_source=LeadSource(name="Valuation")), **changes)
