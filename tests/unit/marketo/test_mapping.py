"""A lead of PUBLITRAC in the form of Marketo."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from publitrac_async import Lead, ValidationError
from publitrac_async.marketo import STANDARD_FIELDS, drop_missing_consent, to_marketo


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
    }


def test_empty_values_are_left_alone_unless_requested() -> None:
    lead = Lead(email="a@x.com", city="", state=None, do_not_call=None)
    assert to_marketo(lead) == {"email": "a@x.com"}
    assert to_marketo(lead, empty=True) == {"email": "a@x.com", "city": "", "state": None}


def test_an_opt_out_is_sent_and_its_absence_is_not() -> None:
    out = Lead(email="a@x.com", unsubscribed=True, do_not_call=True, email_invalid=True)
    assert to_marketo(out) == {
        "email": "a@x.com",
        "unsubscribed": True,
        "doNotCall": True,
        "emailInvalid": True,
    }
    back = Lead(email="a@x.com", unsubscribed=False, do_not_call=False, email_invalid=False)
    assert to_marketo(back) == {"email": "a@x.com"}
    assert to_marketo(back, empty=True) == {"email": "a@x.com"}
    assert to_marketo(back, opt_in=["unsubscribed"]) == {"email": "a@x.com", "unsubscribed": False}


@pytest.mark.parametrize(
    "no", [False, 0, 0.0, None, "", "0", "false", "False", " NO ", "n", "off", "non"], ids=repr
)
def test_every_spelling_of_no_is_a_no(no: object) -> None:
    record = {"email": "a@x.com", "unsubscribed": no, "city": no}
    drop_missing_consent(record)
    assert "unsubscribed" not in record
    assert "city" in record


@pytest.mark.parametrize("yes", [True, 1, "1", "true", "Yes", "oui", "x"], ids=repr)
def test_every_other_value_is_a_yes(yes: object) -> None:
    record = {"unsubscribed": yes}
    drop_missing_consent(record)
    assert record == {"unsubscribed": yes}


def test_further_fields_and_custom_ones() -> None:
    lead = Lead(email="a@x.com", company="Acme", custom_fields={"carColor": "Red"})
    mapping = {**STANDARD_FIELDS, "company": "company", "carColor": "color__c"}
    assert to_marketo(lead, mapping) == {"email": "a@x.com", "company": "Acme", "color__c": "Red"}


def test_nothing_to_send() -> None:
    with pytest.raises(ValidationError, match="the lead has no field that is in the mapping"):
        to_marketo(Lead(notes="x"))


def test_every_name_of_the_standard_mapping_is_a_field_of_a_lead() -> None:
    assert all(hasattr(Lead(), name) for name in STANDARD_FIELDS)
    assert len(set(STANDARD_FIELDS.values())) == len(STANDARD_FIELDS)
