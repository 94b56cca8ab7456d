"""Leads as JSON and XML, compared with the samples of Vitec's page."""

from __future__ import annotations

import json
import pickle
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import ValidationError
from publitrac_async.vitec import (
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
    from_json,
    to_json,
)
from publitrac_async.vitec.codec import to_xml
from tests.support.vitec import NUMBER, lead, person, sample

ONE, TWO, THREE, FOUR = (f"sample string {number}" for number in (1, 2, 3, 4))
TAG = UtmTag(name=ONE, value=TWO)
OFFICE = Office(id=ONE, customer_id=TWO)
#: The lead of the page's samples.
SAMPLE = PersonLead(
    person=Person(
        first_name=ONE,
        last_name=TWO,
        social_security_number=THREE,
        is_foreign_social_security_number=True,
        address=Address(street_address=ONE, zip_code=TWO, city=THREE),
        email=Email(email_address=ONE, email_address2=TWO),
        telephone=Telephone(home=ONE, work=TWO, cell=THREE, other=FOUR),
    ),
    receiver=Receiver(
        agent=Agent(id=ONE, email=TWO, office=OFFICE), user_group=UserGroup(id=ONE), office=OFFICE
    ),
    lead_source=LeadSource(name=ONE),
    marketing=Marketing(referrer=ONE, utm_tags=(TAG, TAG)),
    message=ONE,
)


def elements(document: bytes) -> list[tuple[str, str]]:
    """Every element in document order: name with namespace, and text."""
    return [(element.tag, (element.text or "").strip()) for element in ET.fromstring(document).iter()]


def test_json_is_the_sample() -> None:
    assert json.loads(to_json(SAMPLE)) == json.loads(sample("person_lead_request.json"))


def test_xml_is_the_sample_element_for_element() -> None:
    assert elements(to_xml(SAMPLE)) == elements(sample("person_lead_request.xml"))


def test_the_telephone_is_not_in_alphabetical_order() -> None:
    names = [name.rpartition("}")[2] for name, _ in elements(to_xml(SAMPLE))]
    assert names[names.index("Telephone") + 1 :][:4] == ["Other", "Cell", "Home", "Work"]


def test_json_is_read_back() -> None:
    assert from_json(sample("person_lead_request.json")) == SAMPLE
    assert from_json(to_json(SAMPLE).decode()) == SAMPLE
    assert from_json(json.loads(to_json(SAMPLE))) == SAMPLE


def test_a_lead_type_is_read_as_number_or_name_and_written_as_name() -> None:
    code_sample = from_json(sample("person_lead_code_sample.json"))
    assert code_sample.lead_source.lead_type == ACCEPT_OBJECT_FLOW
    assert json.loads(to_json(code_sample))["leadSource"]["leadType"] == "AcceptObjectFlow"
    for given_type in (0, "0", "AcceptObjectFlow", " AcceptObjectFlow "):
        assert LeadSource(name="x", lead_type=given_type).lead_type == ACCEPT_OBJECT_FLOW
    assert LeadSource(name="x", lead_type="Other").lead_type == "Other"


def test_empty_values_are_left_out() -> None:
    empty = lead(
        person=person(address=Address(city=""), social_security_number="", telephone=Telephone()),
        marketing=Marketing(),
        message="",
    )
    assert json.loads(to_json(empty)) == {
        "person": {
            "firstName": "Anna",
            "lastName": "Åström",
            "email": {"emailAddress": "anna@example.com"},
        },
        "leadSource": {"name": "Valuation", "leadType": "AcceptObjectFlow"},
    }
    names = [name.rpartition("}")[2] for name, _ in elements(to_xml(empty))]
    assert names == [
        "PublicAdvertisingPersonLead",
        "LeadSource",
        "LeadType",
        "Name",
        "Person",
        "Email",
        "EmailAddress",
        "FirstName",
        "LastName",
    ]


@pytest.mark.parametrize("flag", [True, False])
def test_flags_are_written_in_json_and_xml(flag: bool) -> None:
    document = lead(person=person(is_foreign_social_security_number=flag))
    assert json.loads(to_json(document))["person"]["isForeignSocialSecurityNumber"] is flag
    texts = {name.rpartition("}")[2]: text for name, text in elements(to_xml(document))}
    assert texts["IsForeignSocialSecurityNumber"] == str(flag).lower()


sendable = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
)


@given(sendable, st.sampled_from(["", "\r", "\n", "\t", "]]>", "<&>", '"']))
def test_any_text_survives_xml(text: str, special: str) -> None:
    message = f"-{text}{special}-"
    root = ET.fromstring(to_xml(lead(message=message)))
    (found,) = [element.text for element in root.iter() if element.tag.endswith("}Message")]
    assert found == message


@given(sendable)
def test_any_text_survives_json(text: str) -> None:
    assert from_json(to_json(lead(message=f"-{text}"))).message == f"-{text}"


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        (b"{", [None]),
        ("[]", [None]),
        ("null", [None]),
        ("{}", ["person", "leadSource"]),
        ('{"person": "Anna", "leadSource": {"name": "x"}}', ["person"]),
        ('{"person": {"firstName": "a"}, "leadSource": {"name": "x"}}', ["person.lastName"]),
        (
            '{"person": {"firstName": "a", "lastName": null}, "leadSource": {"name": "x"}}',
            ["person.lastName"],
        ),
        (
            '{"person": {"firstName": "a", "lastName": ["b"]}, "leadSource": {"name": "x"}}',
            ["person.lastName"],
        ),
        ('{"person": {"firstName": "a", "lastName": "b", "no": 1}, "leadSource": {"name": "x"}}', ["person"]),
        (
            """{"person": {"firstName": "a", "lastName": "b"}, "leadSource": {"name": "x"},
            "marketing": {"utmTags": [{"name": "a", "value": "b"}, {"name": "a"}]}}""",
            ["marketing.utmTags[1].value"],
        ),
        (
            """{"person": {"firstName": "a", "lastName": "b", "isForeignSocialSecurityNumber": 1},
            "leadSource": {"name": "x"}}""",
            ["person.isForeignSocialSecurityNumber"],
        ),
        ('{"person": {"firstName": "a", "lastName": "b"}, "leadSource": []}', ["leadSource"]),
    ],
)
def test_json_that_is_no_lead(document: bytes | str, fields: list[str | None]) -> None:
    with pytest.raises(ValidationError) as caught:
        from_json(document)
    assert [problem.field for problem in caught.value.problems] == fields
    assert "Anna" not in str(caught.value)


def test_numbers_are_taken_for_text() -> None:
    document = json.loads(to_json(lead()))
    document["person"]["address"] = {"zipCode": 11122}
    read = from_json(document)
    assert read.person.address == Address(zip_code="11122")


def test_a_personal_number_shows_in_no_repr() -> None:
    assert NUMBER not in repr(lead())
    assert pickle.loads(pickle.dumps(lead())) == lead()
