"""A lead of PUBLITRAC as Marketo wants it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from publitrac_async import Lead, ValidationError
from publitrac_async.marketo import STANDARD_FIELDS, to_marketo


def test_set_fields_get_their_names_at_marketo() -> None:
    lead = Lead(
        email="a@x.com",
        job_title="Countess",
        mobile="+46 70",
        date_of_birth=datetime(1815, 12, 10, 10, tzinfo=UTC),
        unsubscribed=False,
        company="Acme",
        custom_fields={"carColor": "Red"},
    )
    assert to_marketo(lead) == {
        "email": "a@x.com",
        "title": "Countess",
        "mobilePhone": "+46 70",
        "dateOfBirth": date(1815, 12, 10),
        "unsubscribed": False,
    }


def test_empty_values_are_left_alone_unless_asked_for() -> None:
    lead = Lead(email="a@x.com", city="", state=None, do_not_call=False)
    assert to_marketo(lead) == {"email": "a@x.com", "doNotCall": False}
    assert to_marketo(lead, empty=True) == {"email": "a@x.com", "city": "", "state": None, "doNotCall": False}


def test_further_fields_and_custom_ones() -> None:
    lead = Lead(email="a@x.com", company="Acme", custom_fields={"carColor": "Red"})
    mapping = {**STANDARD_FIELDS, "company": "company", "carColor": "color__c"}
    assert to_marketo(lead, mapping) == {"email": "a@x.com", "company": "Acme", "color__c": "Red"}


def test_nothing_to_send() -> None:
    with pytest.raises(ValidationError, match="no field of the lead is in the mapping"):
        to_marketo(Lead(notes="x"))


def test_every_name_of_the_standard_mapping_is_a_field_of_a_lead() -> None:
    assert all(hasattr(Lead(), name) for name in STANDARD_FIELDS)
    assert len(set(STANDARD_FIELDS.values())) == len(STANDARD_FIELDS)
