"""Leads that are refused before a request, and leads that only get a warning."""

from __future__ import annotations

from typing import Any

import pytest

from publitrac_async import ValidationError
from publitrac_async.vitec import (
    Address,
    Agent,
    Email,
    LeadSource,
    Marketing,
    Office,
    Receiver,
    Telephone,
    UserGroup,
    UtmTag,
    length_notes,
)
from publitrac_async.vitec.checks import LENGTHS, check_customer_id, check_person_lead, customer_id_note
from tests.support.vitec import NUMBER, lead, person


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"person": person(email=None, telephone=Telephone(cell="1"))},
        {"person": person(email=None, telephone=Telephone(other="1"))},
        {"person": person(email=Email(email_address2="b@example.com"))},
        {"receiver": Receiver(agent=Agent(id="1"))},
        {"receiver": Receiver(agent=Agent(email="agent@example.com"))},
        {"receiver": Receiver(agent=Agent(office=Office(id="1")))},
        {"receiver": Receiver(user_group=UserGroup(id="1"))},
        {"receiver": Receiver(office=Office(customer_id="M1"))},
        {"marketing": Marketing(utm_tags=[UtmTag(name="utm_source", value="")])},
        {"person": person(first_name="x" * 41)},
    ],
)
def test_leads_that_can_be_sent(changes: dict[str, Any]) -> None:
    check_person_lead(lead(**changes))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"person": None}, ["person"]),
        ({"lead_source": None}, ["leadSource"]),
        ({"person": person(first_name="")}, ["person.firstName"]),
        ({"person": person(first_name=None)}, ["person.firstName"]),
        ({"person": person(last_name=" \t")}, ["person.lastName"]),
        ({"person": person(last_name=5)}, ["person.lastName"]),
        ({"person": person(email=None)}, ["person"]),
        ({"person": person(email=Email(email_address=" "), telephone=Telephone(home=""))}, ["person"]),
        ({"person": person(email="anna@example.com")}, ["person.email"]),
        ({"person": person(address=Address(zip_code=11122))}, ["person.address.zipCode"]),
        ({"person": person(is_foreign_social_security_number=1)}, ["person.isForeignSocialSecurityNumber"]),
        ({"lead_source": LeadSource(name=" ")}, ["leadSource.name"]),
        ({"lead_source": LeadSource(name="x", lead_type="")}, ["leadSource.leadType"]),
        ({"receiver": Receiver()}, ["receiver"]),
        ({"receiver": Receiver(agent=Agent(id="1"), office=Office(id="1"))}, ["receiver"]),
        (
            {"receiver": Receiver(agent=Agent(id="1"), office=Office(id="1"), user_group=UserGroup(id="1"))},
            ["receiver"],
        ),
        ({"receiver": Receiver(office=Office())}, ["receiver.office"]),
        ({"receiver": Receiver(user_group=UserGroup(id=""))}, ["receiver.userGroup"]),
        ({"receiver": Receiver(agent=Agent(office=Office()))}, ["receiver.agent"]),
        ({"marketing": Marketing(utm_tags=[UtmTag(name="", value="x")])}, ["marketing.utmTags[0].name"]),
        ({"marketing": Marketing(utm_tags=["utm_source"])}, ["marketing.utmTags[0]"]),
        ({"message": "a\0b"}, ["message"]),
        ({"message": "\ud800"}, ["message"]),
        ({"message": b"text"}, ["message"]),
        (
            {"person": person(first_name="", last_name="", email=None), "lead_source": LeadSource(name="")},
            ["person.firstName", "person.lastName", "leadSource.name", "person"],
        ),
    ],
)
def test_arguments_that_cannot_be_sent(changes: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        check_person_lead(lead(**changes))
    error = caught.value
    assert [problem.field for problem in error.problems] == fields
    assert error.attempts == 0
    assert not error.maybe_applied
    assert error.operation == "PublicAdvertising/{customerId}/Contact/Person/Lead"
    for shown in (str(error), repr(error), repr(error.problems)):
        assert NUMBER not in shown
        assert "example.com" not in shown


def test_something_else_than_a_lead() -> None:
    with pytest.raises(ValidationError, match="must be of type PersonLead, not dict"):
        check_person_lead({"person": {}})  # type: ignore[arg-type]


def test_lengths_are_noted_without_values() -> None:
    long = person(
        first_name="x" * 41,
        last_name="y" * 40,
        social_security_number=NUMBER * 2,
        address=Address(city="z" * 26),
        telephone=Telephone(other="1" * 18),
    )
    notes = length_notes(lead(person=long))
    assert [note.field for note in notes] == [
        "person.firstName",
        "person.socialSecurityNumber",
        "person.address.city",
        "person.telephone.other",
    ]
    assert str(notes[0]) == "person.firstName: longer than 40 characters"
    assert NUMBER not in repr(notes)
    assert notes[1].value == NUMBER * 2
    assert length_notes(lead()) == []


def test_every_published_length_is_of_a_field_that_exists() -> None:
    everything = person(
        first_name="x" * 200,
        last_name="x" * 200,
        social_security_number="x" * 200,
        address=Address(street_address="x" * 200, zip_code="x" * 200, city="x" * 200),
        email=Email(email_address="x" * 200, email_address2="x" * 200),
        telephone=Telephone(home="x" * 200, work="x" * 200, cell="x" * 200, other="x" * 200),
    )
    assert [note.field for note in length_notes(lead(person=everything))] == list(LENGTHS)


@pytest.mark.parametrize("customer_id", ["", " ", ".", "..", "a\0", "\ud800"])
def test_customer_ids_that_fit_in_no_path(customer_id: str) -> None:
    with pytest.raises(ValidationError, match="customerId"):
        check_customer_id(customer_id)


@pytest.mark.parametrize(
    ("customer_id", "noted"),
    [("M30011", False), ("G2", False), ("30011", True), ("m30011", True), ("M", True)],
)
def test_unusual_customer_ids_are_noted(customer_id: str, noted: bool) -> None:
    check_customer_id(customer_id)
    assert (customer_id_note(customer_id) is not None) is noted
