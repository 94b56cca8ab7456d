# ruff: noqa: DTZ001  (the vendor's times have no zone)
"""Vendor names, dates, 0/1, unset, custom fields: between records and the wire."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import UNSET, Lead, ValidationError
from publitrac_async.converters import (
    NATIVE_FIELDS,
    custom_to_wire,
    decimal_text,
    lead_from_mapping,
    lead_from_wire,
    lead_to_wire,
)

EMAIL = "ada@example.com"
FLAGS = [
    "is_customer",
    "is_anonymous",
    "do_not_call",
    "unsubscribed",
    "email_invalid",
    "suspended",
    "blacklisted",
]
INTEGERS = ["score", "nbr_employees", "revenue"]


def written(**fields):
    native, custom = lead_to_wire(Lead(**fields), "syncLead")
    return native | custom


def test_every_documented_field_has_its_vendor_name():
    assert set(NATIVE_FIELDS) == {
        *("id", "firstName", "middleName", "lastName", "company", "phone", "email", "mailingAddress"),
        *(
            "leadSource",
            "originalSource",
            "originalSourceType",
            "keyword",
            "jobTitle",
            "dateOfBirth",
            "status",
        ),
        *("score", "postalCode", "country", "city", "state", "doNotCall", "doNotCallReason", "token"),
        *("unsubscribed", "unsubscribeCause", "unsubscribeReason", "fax", "mobile", "isCustomer"),
        *("isAnonymous", "emailInvalid", "emailInvalidCause", "notes", "suspended", "suspendedReason"),
        *("blacklisted", "blacklistedCause", "customerId", "website", "language", "nbrEmployees", "revenue"),
        *("crmLeadId", "createdDate", "lastUpdated"),
    }


class TestUnset:
    def test_unset_is_left_out_while_none_and_empty_are_sent(self):
        assert written(email=EMAIL, first_name=None, last_name="") == {
            "email": EMAIL,
            "firstName": None,
            "lastName": "",
        }

    def test_fields_missing_in_a_response_are_unset(self):
        lead = lead_from_wire({"email": EMAIL, "firstName": ""})
        assert lead.first_name == ""
        assert lead.last_name is UNSET
        assert not UNSET

    def test_unset_is_left_out_of_custom_fields_too(self):
        assert written(email=EMAIL, custom_fields={"a": UNSET, "b": None}) == {"email": EMAIL, "b": None}

    def test_fields_that_only_the_service_sets_are_not_sent(self):
        moment = datetime(2026, 1, 2)
        assert written(email=EMAIL, id=7, created_date=moment, last_updated=moment) == {"email": EMAIL}


class TestReading:
    @pytest.mark.parametrize("name", FLAGS)
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("0", False),
            ("1", True),
            ("true", True),
            ("False", False),
            (" 1\n", True),
            ("", None),
            (None, None),
        ],
    )
    def test_flags_are_read_from_text(self, name, text, value):
        vendor = next(key for key, attribute in NATIVE_FIELDS.items() if attribute == name)
        assert getattr(lead_from_wire({vendor: text}), name) is value

    @pytest.mark.parametrize("name", INTEGERS)
    @pytest.mark.parametrize(
        ("text", "value"), [("0", 0), ("-5", -5), ("+5", 5), (" 12 ", 12), ("", None), (None, None), (7, 7)]
    )
    def test_integers_are_read_from_text(self, name, text, value):
        vendor = next(key for key, attribute in NATIVE_FIELDS.items() if attribute == name)
        assert getattr(lead_from_wire({vendor: text}), name) == value

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("2014-01-28 02:04:01", datetime(2014, 1, 28, 2, 4, 1)),
            ("2014-01-28", datetime(2014, 1, 28)),
            ("2014-01-28T02:04:01Z", datetime(2014, 1, 28, 2, 4, 1)),
            ("2014-01-28T02:04:01+02:00", datetime(2014, 1, 28, 0, 4, 1)),
            ("0000-00-00 00:00:00", None),
            ("0000-00-00", None),
            (" ", None),
        ],
    )
    def test_times_are_in_utc_and_have_no_zone(self, text, value):
        assert lead_from_wire({"createdDate": text}).created_date == value

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1980-05-17", date(1980, 5, 17)),
            ("1980-05-17 06:00:00", datetime(1980, 5, 17, 6)),
            ("0000-00-00", None),
            ("0000-00-00 00:00:00", None),
            ("", None),
        ],
    )
    def test_dates_with_and_without_time(self, text, value):
        found = lead_from_wire({"dateOfBirth": text}).date_of_birth
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("score", "high"),
            ("score", "1_000"),
            ("score", "٣"),
            ("score", "9" * 30),
            ("revenue", "1.5"),
            ("revenue", "True"),
            ("doNotCall", "2"),
            ("doNotCall", "yes"),
            ("createdDate", "28/01/2014"),
            ("createdDate", "2014-02-30"),
            ("createdDate", "0001-01-01T00:00:00+14:00"),
            ("dateOfBirth", "17.05.1980"),
        ],
    )
    def test_a_value_that_does_not_fit_is_kept(self, name, text):
        lead = lead_from_wire({"email": EMAIL, name: text, "score2": "x"})
        assert getattr(lead, NATIVE_FIELDS[name]) is None
        assert lead.unparsed == {name: text}
        assert lead.email == EMAIL
        assert lead.custom_fields == {"score2": "x"}

    def test_values_that_are_not_one_text_are_kept(self):
        lead = lead_from_wire({"email": [EMAIL, "b@example.com"], "notes": {"b": "bold"}, "city": "Rome"})
        assert (lead.email, lead.notes, lead.city) == (None, None, "Rome")
        assert set(lead.unparsed) == {"email", "notes"}

    def test_every_other_field_is_a_custom_field(self):
        lead = lead_from_wire({"email": EMAIL, "carColor": "Red", "interest": ["ski", "chess"], "Email": "x"})
        assert lead.custom_fields == {"carColor": "Red", "interest": ["ski", "chess"], "Email": "x"}


class TestWriting:
    @pytest.mark.parametrize("name", FLAGS)
    @pytest.mark.parametrize(("value", "sent"), [(True, 1), (False, 0), (1, 1), (0, 0), (None, None)])
    def test_flags_are_0_and_1(self, name, value, sent):
        found = next(v for k, v in written(**{name: value}).items() if NATIVE_FIELDS[k] == name)
        assert found == sent
        assert type(found) is type(sent)

    @pytest.mark.parametrize(
        ("moment", "sent"),
        [
            (datetime(2014, 1, 28, 2, 4, 1), "2014-01-28 02:04:01"),
            (datetime(2014, 1, 28, 2, 4, 1, 999_999), "2014-01-28 02:04:01"),
            (datetime(2014, 1, 28, 2, 4, 1, tzinfo=UTC), "2014-01-28 02:04:01"),
            (datetime(2014, 1, 28, 2, 4, 1, tzinfo=timezone(timedelta(hours=2))), "2014-01-28 00:04:01"),
            (date(2014, 1, 28), "2014-01-28"),
            (date(7, 1, 2), "0007-01-02"),
        ],
    )
    def test_dates_are_written_as_documented(self, moment, sent):
        assert written(date_of_birth=moment) == {"dateOfBirth": sent}
        assert written(custom_fields={"since": moment}) == {"since": sent}

    def test_numbers_are_taken_where_text_is_meant(self):
        assert written(crm_lead_id=12387, postal_code=90211) == {"crmLeadId": "12387", "postalCode": "90211"}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("score", "12"),
            ("score", True),
            ("score", 1.0),
            ("score", 10**18),
            ("is_customer", "1"),
            ("is_customer", 2),
            ("is_customer", 1.0),
            ("date_of_birth", "1980-05-17"),
            ("date_of_birth", datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
            ("first_name", b"Ada"),
            ("first_name", True),
            ("first_name", 1.5),
            ("first_name", ["Ada"]),
            ("first_name", "A\x00"),
            ("first_name", "A\ud800"),
            pytest.param("crm_lead_id", 10**5000, id="more digits than str() takes"),
        ],
    )
    def test_values_that_cannot_be_written_are_named(self, name, value):
        vendor = next(key for key, attribute in NATIVE_FIELDS.items() if attribute == name)
        with pytest.raises(ValidationError) as caught:
            written(**{name: value, "email": EMAIL})
        (problem,) = caught.value.problems
        assert (problem.field, problem.value) == (vendor, value)
        assert caught.value.operation == "syncLead"

    def test_all_that_cannot_be_written_is_named_at_once(self):
        with pytest.raises(ValidationError) as caught:
            written(score="x", is_customer="y", custom_fields={"a": object(), "b": "fine"})
        assert {problem.field for problem in caught.value.problems} == {"score", "isCustomer", "a"}


class TestCustomFields:
    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            (None, None),
            ("", ""),
            ("Red", "Red"),
            (True, "1"),
            (False, "0"),
            (121, "121"),
            (-0.5, "-0.5"),
            (3.0, "3"),
            (1e-7, "0.0000001"),
            (0.1234567, "0.1234567"),
            (1e22, "10000000000000000000000"),
            (Decimal("19.90"), "19.9"),
            (Decimal("1E+2"), "100"),
        ],
    )
    def test_values_are_written_as_text(self, value, sent):
        assert custom_to_wire(value) == sent

    @pytest.mark.parametrize(
        "value",
        [
            math.nan,
            math.inf,
            Decimal("NaN"),
            Decimal("1e999999999"),
            object(),
            {"a": 1},
            [["a"]],
            b"x",
            "\x01",
        ],
    )
    def test_a_value_that_cannot_be_written_is_an_error(self, value):
        with pytest.raises(ValidationError):
            written(email=EMAIL, custom_fields={"custom": value})

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_no_digit_of_a_number_is_lost(self, value):
        text = decimal_text(value)
        assert float(text) == value
        assert "e" not in text.lower()


class TestRows:
    def test_columns_are_taken_by_either_name(self):
        lead = lead_from_mapping({"email": EMAIL, "firstName": "Ada", "last_name": "L", "carColor": "Red"})
        assert lead == Lead(email=EMAIL, first_name="Ada", last_name="L", custom_fields={"carColor": "Red"})

    def test_text_becomes_the_type_of_its_field_and_empty_cells_stay_unset(self):
        lead = lead_from_mapping(
            {
                "email": EMAIL,
                "score": "12",
                "isCustomer": "1",
                "dateOfBirth": "1980-05-17",
                "city": "",
                "x": None,
            }
        )
        assert (lead.score, lead.is_customer, lead.date_of_birth) == (12, True, date(1980, 5, 17))
        assert lead.city is UNSET
        assert lead.custom_fields == {}

    def test_a_value_that_does_not_fit_is_named_with_the_vendors_code(self):
        with pytest.raises(ValidationError) as caught:
            lead_from_mapping({"email": EMAIL, "score": "high", "isCustomer": "yes", "dateOfBirth": "soon"})
        assert [(problem.field, problem.code) for problem in caught.value.problems] == [
            ("score", 9006),
            ("isCustomer", 9007),
            ("dateOfBirth", None),
        ]


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"))
leads = st.builds(
    Lead,
    email=st.just(EMAIL),
    first_name=texts,
    last_name=st.none() | texts,
    score=st.none() | st.integers(-(10**17), 10**17),
    is_customer=st.none() | st.booleans(),
    date_of_birth=st.none() | st.dates(),
    custom_fields=st.dictionaries(st.from_regex(r"[a-z]{3}_x[0-9]", fullmatch=True), texts, max_size=3),
)


@given(leads)
def test_a_lead_is_read_back_as_it_was_sent(lead):
    native, custom = lead_to_wire(lead, "syncLead")
    assert lead_from_wire(dict((native | custom).items())) == lead
