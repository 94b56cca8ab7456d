"""Arguments that are refused before anything is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import UNSET, Lead, ValidationError
from publitrac_async.checks import check_email, check_lead, check_page, email_problem, not_sendable

GOOD = [
    "a@example.com",
    "first.last+tag@sub.example.co.uk",
    "o'brien@example.com",
    "zoë@exämple.fr",
    "123@4.example",
    "a_b-c%d@example.com",
]
BAD = [
    "plain",
    "@example.com",
    "a@",
    "a@b",
    "a@example.",
    "a@.com",
    "a b@example.com",
    "a@exam ple.com",
    "a@b@example.com",
    "Ada <a@example.com>",
    "a@example.com,b@example.com",
    "a@example.com;b@example.com",
    "a@example.com\n",
    " a@example.com",
    "a\x00@example.com",
    "a\ud800@example.com",
    "a\x7f\x80@exam\x01ple.com",
    5,
    b"a@example.com",
    ["a@example.com"],
]


@pytest.mark.parametrize("email", GOOD)
def test_valid_addresses_have_no_problem(email):
    assert email_problem(email) is None


@pytest.mark.parametrize("email", BAD)
def test_invalid_addresses_have_a_problem_without_value(email):
    problem = email_problem(email)
    assert problem is not None
    assert (problem.code, problem.field, problem.value) == (9002, "email", email)
    assert str(email) not in str(problem)


@pytest.mark.parametrize("email", [None, "", UNSET])
def test_missing_addresses_are_refused(email):
    with pytest.raises(ValidationError) as caught:
        check_email(email, "getLead")
    assert caught.value.problems[0].code == 9001
    assert caught.value.operation == "getLead"
    assert caught.value.attempts == 0


@pytest.mark.parametrize("name", ["carColor", "car_color", "_x", "a1", "a-b", "a.b", "Email", "xmlThing"])
def test_good_names_of_custom_fields(name):
    check_lead(Lead(email="a@example.com", custom_fields={name: "x"}), "syncLead")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "1a",
        "-a",
        "a b",
        "a>b",
        "a/",
        "a:b",
        "@a",
        "#text",
        "é",
        "a\n",
        "a><lead>",
        "!--",
        "email",
        "firstName",
        "id",
        "customFields",
        5,
        None,
    ],
)
def test_bad_names_of_custom_fields(name):
    with pytest.raises(ValidationError) as caught:
        check_lead(Lead(email="a@example.com", custom_fields={name: "x"}), "syncLead")
    assert [problem.field for problem in caught.value.problems] == [str(name)]


def test_all_problems_of_a_lead_are_named():
    with pytest.raises(ValidationError) as caught:
        check_lead(Lead(custom_fields={"a b": 1, "c d": 2}), "syncLead")
    assert [problem.field for problem in caught.value.problems] == ["email", "a b", "c d"]


@pytest.mark.parametrize("page", [0, -1])
def test_pages_count_from_one(page):
    with pytest.raises(ValidationError, match="page"):
        check_page(page, "getLeads")
    check_page(1, "getLeads")


@given(st.characters())
def test_characters_that_xml_can_carry(character):
    point = ord(character)
    allowed = (
        point in (0x9, 0xA, 0xD)
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or 0x10000 <= point <= 0x10FFFF
    )
    assert not_sendable(character) is not allowed
    assert not_sendable("a" + character + "b") is not allowed
