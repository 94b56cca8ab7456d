"""Any written document can be read again, or is refused: no text or name breaks out of its element."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from publitrac_async import Lead, ValidationError, field
from publitrac_async.checks import not_sendable
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1 import ClickLink, FilledForm, histories, leads
from publitrac_async.v1.building import to_xml
from publitrac_async.v1.reading import read_response
from publitrac_async.v1.shapes import V1Shapes

SPACE = " \t\r\n"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
#: Any text, often with characters that have a meaning in XML, in xmltodict or in a URL.
texts = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            (
                *(
                    "]]>",
                    "<![CDATA[",
                    "<!--",
                    "-->",
                    "&",
                    "&amp;",
                    "&#0;",
                    "<",
                    ">",
                    '"',
                    "'",
                    "\r",
                    "\r\n",
                    "\n",
                ),
                *("\t", "\x00", "\x0b", "\x1f", "\x7f", "\x85", "\ud800", "\udfff", "\ufffe", "\uffff", "é"),
                *(
                    "\U0010ffff",
                    "</lead>",
                    "</request>",
                    "<lead>",
                    "<?xml?>",
                    "%26",
                    "+",
                    "%00",
                    "@a",
                    "#text",
                ),
                *("\u2028", "\ufeff"),
            )
        )
    ).map("".join),
)
names = st.one_of(st.text(max_size=8), st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,8}", fullmatch=True))


def sent(request) -> ET.Element:
    """The document as the standard library's own parser reads it."""
    return ET.fromstring(dict(request.parameters)["query"].encode())


@given(texts)
@example("]]>")
@example("a\rb\r\nc")
@example("<!--")
@pytest.mark.fault("F38")
def test_any_text_is_read_back_or_refused(text):
    if not_sendable(text):
        with pytest.raises(ValidationError) as caught:
            to_xml({"notes": text, "after": "here"}, "syncLead")
        assert [problem.field for problem in caught.value.problems] == ["notes"]
        return
    document = to_xml({"notes": text, "after": "here"}, "syncLead")
    request = ET.fromstring(document.encode())
    assert [child.tag for child in request] == ["notes", "after"]
    assert (request[0].text or "") == text
    response = document.replace("request>", "response>").encode()
    assert run_steps(read_response(ServiceResponse(200, response))).children == {
        "notes": text.strip(SPACE),
        "after": "here",
    }


@given(st.dictionaries(names, texts, max_size=4))
@example({"status": ""})
@pytest.mark.fault("F38")
def test_a_lead_with_any_custom_fields_is_written_completely_or_refused(custom):
    lead = Lead(email="a@example.com", custom_fields=custom)
    unfit = [name for name in custom if not NAME.fullmatch(name) or name in NATIVE_FIELDS]
    if unfit or any(map(not_sendable, custom.values())):
        with pytest.raises(ValidationError):
            leads.write(leads.SYNC_LEAD, lead)
        return
    (written,) = sent(leads.write(leads.SYNC_LEAD, lead))
    container = written.find("customFields")
    found = {} if container is None else {child.tag: child.text or "" for child in container}
    assert found == custom


@given(texts, texts, texts)
def test_a_search_with_any_condition(name, operator, value):
    try:
        request = sent(leads.search([field(name).compare(operator, value)], 1))
    except ValidationError:
        assert any(not_sendable(text) for text in (name, operator, value))
        return
    assert [part.text or "" for part in request[0][0]] == [name, operator, value]


@given(texts, texts)
def test_a_form_with_any_values(label, value):
    form = FilledForm(form_name="Newsletter", values={label: value})
    try:
        request = sent(histories.fill_form("a@example.com", form))
    except ValidationError:
        assert not_sendable(label + value)
        return
    assert request.find(".//values").text == f"{label}: {value}"


@given(st.lists(texts, min_size=1, max_size=4))
def test_shapes_of_unicity_keys_cannot_break_out(values):
    lead = Lead(email="a@example.com", custom_fields={f"k{n}": value for n, value in enumerate(values)})
    try:
        request = leads.sync(
            lead,
            use_token=False,
            merge_anonymous=False,
            custom_unicity_keys=list(lead.custom_fields),
            shapes=V1Shapes(),
        )
    except ValidationError:
        assert any(not_sendable(value) or not value.strip() for value in values)
        return
    assert [key.text for key in sent(request).find("customUnicityKeys")] == list(lead.custom_fields)


def test_an_element_that_is_empty_has_two_tags():
    """The documents write `<queries></queries>`, and the service is known to be old."""
    assert "<queries></queries>" in to_xml({"queries": None})


def test_every_unsendable_text_is_named():
    with pytest.raises(ValidationError) as caught:
        to_xml({"a": "\x00", "b": {"c": ["fine", "\ud800"]}, "d": 5}, "syncLead")
    assert [problem.field for problem in caught.value.problems] == ["a", "c"]
    assert caught.value.operation == "syncLead"


def test_the_declaration_is_utf_8():
    document = to_xml({"a": "é€😀"})
    assert document.startswith('<?xml version="1.0" encoding="utf-8"?>')
    assert ET.fromstring(document.encode())[0].text == "é€😀"


@pytest.mark.parametrize("value", ["a\u0085b", "a\u2028b", "\ufeffa", "a\u200db"])
def test_characters_that_only_look_like_line_ends_are_kept(value):
    (element,) = sent(histories.click_link("a@example.com", ClickLink(information=value)))[0]
    assert element.text == value
