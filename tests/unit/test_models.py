"""Records: defaults, equality, repr."""

from __future__ import annotations

import copy
import pickle

import pytest

import publitrac_async
from publitrac_async import UNSET, Lead
from publitrac_async.models import vendor_name
from publitrac_async.v1 import Opportunity, WebVisit


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("email", "email"),
        ("first_name", "firstName"),
        ("crm_lead_id", "crmLeadId"),
        ("nbr_employees", "nbrEmployees"),
        ("original_source_type", "originalSourceType"),
    ],
)
def test_attributes_have_vendor_names(attribute, name):
    assert vendor_name(attribute) == name


def test_a_new_lead_has_nothing():
    lead = Lead()
    assert lead.set_fields() == {}
    assert repr(lead) == "Lead()"
    assert lead.email is UNSET


def test_the_repr_of_a_lead_shows_set_fields():
    lead = Lead(email="a@example.com", first_name=None, custom_fields={"a": 1})
    assert lead.set_fields() == {"email": "a@example.com", "first_name": None, "custom_fields": {"a": 1}}
    assert repr(lead) == "Lead(email='a@example.com', first_name=None, custom_fields={'a': 1})"


def test_unset_none_and_empty_are_three_things():
    leads = [Lead(), Lead(city=None), Lead(city="")]
    assert all(a != b for a in leads for b in leads if a is not b)


def test_unset_stays_itself_when_copied_and_pickled():
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.deepcopy(Lead(email="a@example.com")) == Lead(email="a@example.com")
    assert copy.deepcopy(Lead()).email is UNSET
    assert repr(UNSET) == "UNSET"


def test_values_that_could_not_be_parsed_do_not_count_for_equality():
    assert Lead(unparsed={"score": "x"}) == Lead()


def test_leads_do_not_share_their_custom_fields():
    one, other = Lead(), Lead()
    one.custom_fields["a"] = 1
    assert other.custom_fields == {}


def test_a_misspelt_field_is_an_error():
    with pytest.raises(TypeError):
        Lead(firstname="Ada")
    lead = Lead()
    with pytest.raises(AttributeError):
        lead.firstname = "Ada"


def test_other_records_take_keywords_only():
    with pytest.raises(TypeError):
        Opportunity("1234abc")
    with pytest.raises(TypeError):
        WebVisit("/blog")


def test_the_front_door_is_sorted_and_complete():
    names = publitrac_async.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(publitrac_async, name) for name in names)
    assert [*names] == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
