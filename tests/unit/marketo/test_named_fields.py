"""Errors name the fields that Marketo complains about, and nothing else of its message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import ValidationError
from publitrac_async.marketo.codes import fields_named
from tests.support.clock import virtual
from tests.support.marketo import refused, result, serving

MESSAGES: dict[str, tuple[str, ...]] = {
    "Field 'shoeSize' not found": ("shoeSize",),
    "Field \u2018shoeSize\u2019 not found": ("shoeSize",),
    "Lookup field 'createdAt' not supported": ("createdAt",),
    "Invalid fields [site, billingStreet, mainPhone]": ("site", "billingStreet", "mainPhone"),
    "Missing value for the required parameter 'lookupField'": ("lookupField",),
    "programName cannot be blank": ("programName",),
    "Merge Leads call failed due to 'Title' length": ("Title",),
    "Invalid value 'canary'. Required of type 'integer'": (),
    "Invalid value for field 'percent_field' and value '100%'": ("percent_field",),
    "Invalid cookie value 'canary'": (),
    "Access denied to partition 'canary'": (),
    "Lead already exists": (),
    "Fields [canary@x.com, +1 555]": (),
    "": (),
}


@pytest.mark.parametrize(("message", "names"), MESSAGES.items())
def test_names_in_known_messages(message: str, names: tuple[str, ...]) -> None:
    assert fields_named(message) == names


def test_names_of_the_record_count_in_quotes_and_brackets() -> None:
    record = ("email", "shoeSize", "city")
    assert fields_named("Value for 'shoeSize' exceeds 255 characters", record) == ("shoeSize",)
    assert fields_named('Bad ["city", email]', record) == ("city", "email")
    assert fields_named("A city is a city", record) == ()


def test_a_value_names_its_field_if_only_one_has_it() -> None:
    record = {
        "email": "a@x.com",
        "leadScore": "it's 9",
        "city": "Oslo",
        "state": "Oslo",
        "unsubscribed": True,
    }
    assert fields_named("Invalid value \u2018it's 9'. Required of type \u2018integer'", record) == (
        "leadScore",
    )
    assert fields_named("Invalid value 'true'. Required of type 'date'", record) == ("unsubscribed",)
    assert fields_named("Invalid value 'Oslo'. Required of type 'integer'", record) == ()
    assert fields_named("Invalid value 'canary'. Required of type 'integer'", record) == ()


@given(st.text(max_size=80), st.sets(st.sampled_from(["email", "city"])))
def test_only_names_are_found_in_any_message(message: str, record: set[str]) -> None:
    assert all(name.isidentifier() and len(name) <= 100 for name in fields_named(message, tuple(record)))


@virtual
async def test_the_error_of_a_record_names_its_field() -> None:
    reasons = [{"code": "1006", "message": "Field 'shoeSize' not found"}]
    async with serving(result({"status": "skipped", "reasons": reasons})) as (marketo, _):
        (found,) = await marketo.sync_leads([{"email": "a@x.com", "shoeSize": 42}])
    assert isinstance(found.error, ValidationError)
    assert [problem.field for problem in found.error.problems] == ["shoeSize"]
    assert str(found.error) == "shoeSize: a field does not exist (code 1006)"


@virtual
async def test_an_invalid_value_is_reported_as_one() -> None:
    reasons = [{"code": "1003", "message": "Invalid value for field 'city' and value 'canary'"}]
    async with serving(result({"status": "skipped", "reasons": reasons})) as (marketo, _):
        (found,) = await marketo.sync_leads([{"email": "a@x.com", "city": "canary"}])
    assert str(found.error) == "city: the value is invalid (code 1003)"


@virtual
async def test_the_error_of_a_call_names_its_fields() -> None:
    async with serving(refused("1003", message="Invalid fields [site, billingStreet]")) as (marketo, _):
        with pytest.raises(ValidationError, match=r"site: .*; billingStreet: ") as caught:
            await marketo.get_lead_by_id(1, fields=["site", "billingStreet"])
    assert [problem.field for problem in caught.value.problems] == ["site", "billingStreet"]
    assert {problem.text for problem in caught.value.problems} == {"Invalid fields [site, billingStreet]"}
