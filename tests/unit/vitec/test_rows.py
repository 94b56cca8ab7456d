"""From the rows of a bulk run to leads for Vitec."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from publitrac_async import Lead, ValidationError
from publitrac_async.bulk import ColumnMapping, Row, RowTransform, VitecSink, vitec_record
from publitrac_async.vitec import LeadSource, Office, Receiver, VitecClient
from publitrac_async.vitec.codec import to_document

ROW = {"email": "Anna@Example.com ", "firstName": "Anna", "last_name": "Åström"}
SOURCE = LeadSource(name="Web")


def prepared(row: Any, **options: Any) -> Any:
    return vitec_record(row, lead_source=SOURCE, **options)


def document(row: Any, **options: Any) -> dict[str, Any]:
    return to_document(prepared(row, **options).content)


def test_native_fields_under_both_names() -> None:
    row = ROW | {
        "phone": "08-1",
        "mobile": "070-2",
        "mailing_address": "Storgatan 1",
        "postalCode": 11122,
        "city": "Stockholm",
        "notes": "Hej!",
    }
    assert document(row) == {
        "person": {
            "firstName": "Anna",
            "lastName": "Åström",
            "email": {"emailAddress": "Anna@Example.com "},
            "telephone": {"home": "08-1", "cell": "070-2"},
            "address": {"streetAddress": "Storgatan 1", "zipCode": "11122", "city": "Stockholm"},
        },
        "leadSource": {"name": "Web", "leadType": "AcceptObjectFlow"},
        "message": "Hej!",
    }


def test_a_lead_of_publitrac() -> None:
    lead = Lead(
        email="a@example.com",
        first_name="A",
        last_name="B",
        score=5,
        custom_fields={"person.socialSecurityNumber": "19121212-1212", "carColor": "Red"},
    )
    assert document(lead)["person"] == {
        "firstName": "A",
        "lastName": "B",
        "socialSecurityNumber": "19121212-1212",
        "email": {"emailAddress": "a@example.com"},
    }


def test_fields_that_vitec_does_not_have_are_left_out() -> None:
    row = ROW | {
        "leadSource": "Campaign 7",
        "score": "x",
        "dateOfBirth": dt.date(2000, 1, 1),
        "other": object(),
    }
    assert document(row) == document(ROW)


def test_names_with_dots_and_utm_tags() -> None:
    row = ROW | {
        "person.isForeignSocialSecurityNumber": "True",
        "person.telephone.other": 5,
        "receiver.office.id": "o1",
        "marketing.referrer": "https://x.example",
        "leadSource.name": "Fair",
        "utm_source": "google",
        "utm_campaign": "",
        "utm_medium": "cpc",
    }
    found = document(row, receiver=Receiver(office=Office(id="default")))
    assert found["person"]["isForeignSocialSecurityNumber"] is True
    assert found["person"]["telephone"] == {"other": "5"}
    assert found["receiver"] == {"office": {"id": "o1"}}
    assert found["leadSource"]["name"] == "Fair"
    assert found["marketing"] == {
        "referrer": "https://x.example",
        "utmTags": [{"name": "utm_source", "value": "google"}, {"name": "utm_medium", "value": "cpc"}],
    }


def test_a_receiver_for_rows_that_name_none() -> None:
    assert document(ROW, receiver=Receiver(office=Office(id="o1")))["receiver"] == {"office": {"id": "o1"}}


def test_the_shape_of_the_json() -> None:
    whole = document(ROW)
    assert document(whole) == whole
    del whole["leadSource"]
    assert document(whole)["leadSource"]["name"] == "Web"


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"email": "a@example.com"}, ["firstName", "lastName"]),
        (ROW | {"firstName": " "}, ["firstName"]),
        ({"firstName": "A", "lastName": "B"}, ["person"]),
        ({}, ["person"]),
        (ROW | {"person.shoeSize": "44"}, ["person"]),
        (ROW | {"city": "a\0"}, ["person.address.city"]),
        (ROW | {"city": object()}, ["person.address.city"]),
        (ROW | {"person.email": "x"}, ["person.email"]),
        (ROW | {"person.isForeignSocialSecurityNumber": "yes"}, ["person.isForeignSocialSecurityNumber"]),
        (ROW | {"receiver.office.id": "1", "receiver.agent.id": "2"}, ["receiver"]),
        (ROW | {"leadSource.leadType": "X"}, ["leadSource.name"]),
    ],
)
def test_rows_that_cannot_be_leads(row: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        prepared(row)
    named = [problem.field for problem in caught.value.problems]
    assert [field.replace("person.address.city", "city") for field in named] == [
        field.replace("person.address.city", "city") for field in fields
    ]


def test_the_key_is_the_address_or_name_and_telephone() -> None:
    assert prepared(ROW).key == "anna@example.com"
    by_phone = {"firstName": "A", "lastName": "B", "mobile": "070"}
    assert prepared(by_phone).key == "a b 070"
    assert prepared(by_phone | {"firstName": "C"}).key != prepared(by_phone).key


def test_the_digest_is_of_the_payload() -> None:
    assert prepared(ROW).content_hash == prepared(ROW | {"score": "9"}).content_hash
    assert prepared(ROW).content_hash != prepared(ROW | {"notes": "x"}).content_hash
    assert prepared(ROW).content_hash != vitec_record(ROW, lead_source=LeadSource(name="Fair")).content_hash


def test_a_mapping_file_can_name_vitecs_fields() -> None:
    mapping = ColumnMapping.from_dict(
        {
            "fields": {"email": "E-post", "firstName": "Förnamn", "lastName": "Efternamn"},
            "custom_fields": {"person.socialSecurityNumber": "Personnummer"},
        }
    )
    row = {"E-post": "a@example.com", "Förnamn": "A", "Efternamn": "B", "Personnummer": "1"}
    record = RowTransform(prepare_person_lead_of_web, mapping)(Row(1, row))[0].content
    assert record.person.social_security_number == "1"


def prepare_person_lead_of_web(fields: Any) -> Any:
    return prepared(fields)


def test_stores_belong_to_one_customer() -> None:
    vitec = VitecClient(username="a", password="b")
    names = {
        VitecSink(vitec, customer, lead_source=SOURCE, destination=destination).destination
        for customer in ("M1", "M2")
        for destination in (None, "of the sandbox")
    }
    assert len(names) == 4
    with pytest.raises(ValidationError, match="customerId"):
        VitecSink(vitec, " ", lead_source=SOURCE)


def test_a_personal_number_is_in_no_complaint() -> None:
    row = ROW | {"person.socialSecurityNumber": "19121212-1212\0"}
    with pytest.raises(ValidationError) as caught:
        prepared(row)
    assert "1212" not in str(caught.value) + repr(caught.value.problems)
    assert "19121212" in json.dumps(caught.value.problems[0].value)
