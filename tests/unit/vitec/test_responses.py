"""Responses of Vitec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    NotFound,
    PermissionDenied,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.vitec.responses import MAX_RESPONSE, read_lead_id
from tests.support.vitec import sample

HTML = b"<!DOCTYPE html><html><body>Anna Andersson anna@example.com</body></html>"
PERSON = (
    "person",
    "a contact person is required",
    "En kontaktperson måste anges",
)
SOURCE = ("leadSource", "a lead source is required", "En leadskälla måste anges")


def response(body: Any, status: int = 200) -> ServiceResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ServiceResponse(status=status, body=content)


def problems(body: Any) -> list[tuple[str | None, str, str | None]]:
    with pytest.raises(ValidationError) as caught:
        read_lead_id(response(body, 400))
    assert caught.value.status == 400
    assert not caught.value.maybe_applied
    return [(problem.field, problem.reason, problem.text) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("body", "lead_id"),
    [
        (sample("response.json"), "sample string 1"),
        (sample("response.xml"), "sample string 1"),
        (b'\xef\xbb\xbf"42"', "42"),
        (b"42", "42"),
        (b'<?xml version="1.0"?><s:string xmlns:s="x"> 42 </s:string>', "42"),
        ('<?xml version="1.0" encoding="utf-16"?><string>42</string>'.encode("utf-16"), "42"),
    ],
)
def test_ids_are_read_in_every_form(body: bytes, lead_id: str) -> None:
    assert read_lead_id(response(body)) == lead_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'""',
        b'" "',
        b"true",
        b"{}",
        b'["42"]',
        b"42,",
        b'"42',
        b"OK",
        b"<string/>",
        b"<string><id>42</id></string>",
        b"<string>42",
        b'"Access denied"',
        b"<string>Access denied</string>",
        b"<Error>42 is not known</Error>",
        b"<Error><Message>42</Message></Error>",
        b'{"message": "42"}',
        b'"' + b"4" * 101 + b'"',
        b"<!DOCTYPE string><string>42</string>",
        HTML,
        b'"' + b"4" * MAX_RESPONSE + b'"',
    ],
)
def test_a_success_without_an_id_may_have_been_applied(body: bytes) -> None:
    with pytest.raises(UnexpectedContent) as caught:
        read_lead_id(response(body))
    assert caught.value.maybe_applied
    assert not caught.value.retryable
    assert "Anna" not in str(caught.value)


@pytest.mark.parametrize("name", ["error_camel.json", "error_pascal.json", "error.xml"])
def test_the_errors_of_the_framework(name: str) -> None:
    assert problems(sample(name)) == [PERSON, SOURCE]


def test_the_text_of_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        read_lead_id(response(sample("error_camel.json"), 400))
    assert str(caught.value) == (
        "person: a contact person is required; leadSource: a lead source is required (HTTP 400)"
    )


REFUSED = "refused by the service"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"MODELSTATE": {"lead.Person.Email": ["a", "b"]}}, [("person.email", "a"), ("person.email", "b")]),
        ({"modelState": {"x.marketing.UtmTags[0].Name": ["a"]}}, [("marketing.utmTags[0].name", "a")]),
        ({"modelState": {"application": ["a"]}}, [("application", "a")]),
        ({"modelState": {"": ["a"]}}, [(None, "a")]),
        ({"modelState": {"Anna Andersson": ["a"]}}, [(None, "a")]),
        ({"modelState": {"Person": "a"}}, [("person", "a")]),
        ({"modelState": ["a", "b"]}, [(None, "a"), (None, "b")]),
        ({"modelState": {"Person": {"errors": ["a"]}}}, [("person", "a")]),
        ({"modelState": {}, "message": "a"}, [(None, "a")]),
        ({"modelState": None, "Message": "a", "MessageDetail": "b"}, [(None, "a"), (None, "b")]),
        ({"title": "t", "status": 400, "errors": {"Person": ["a"]}}, [("person", "a")]),
        ({"Person": ["a"], "LeadSource": ["b"]}, [("person", "a"), ("leadSource", "b")]),
        ({"message": "a", "stackTrace": "secret", "exceptionMessage": "secret"}, [(None, "a")]),
        ({"error": "a"}, [(None, "a")]),
        (["a", {"message": "b"}], [(None, "a"), (None, "b")]),
        ("a", [(None, "a")]),
        (b"a, as plain text", [(None, "a, as plain text")]),
        (b"<Error><Message>a</Message></Error>", [(None, "a")]),
        (b"<string>a</string>", [(None, "a")]),
        (b"<Error><ModelState><application.Person.FirstName>a</application.Person.FirstName></ModelState></Error>",
         [("person.firstName", "a")]),
        (b"", []),
        ({}, []),
        (b"null", [(None, "null")]),
        (HTML, []),
        (b'"' + b"x" * MAX_RESPONSE + b'"', []),
    ],
)  # fmt: skip
def test_other_shapes_of_a_refusal(body: Any, expected: list[tuple[str | None, str]]) -> None:
    assert [(field, text) for field, _, text in problems(body)] == expected


def test_the_message_of_the_service_is_in_no_text() -> None:
    body = {"modelState": {"Person.SocialSecurityNumber": ["'19121212-1212' för Anna är fel"]}}
    with pytest.raises(ValidationError) as caught:
        read_lead_id(response(body, 400))
    error = caught.value
    assert str(error) == f"person.socialSecurityNumber: {REFUSED} (HTTP 400)"
    assert "Anna" not in repr(error) + repr(error.problems) + repr(error.__dict__)


@pytest.mark.parametrize(
    ("status", "kind", "maybe_applied", "retryable"),
    [
        (401, AuthenticationError, False, False),
        (403, PermissionDenied, False, False),
        (404, NotFound, False, False),
        (406, ApiError, False, False),
        (413, ApiError, False, False),
        (415, ApiError, False, False),
        (429, RateLimited, False, True),
        (500, ServerError, True, True),
        (502, ServerError, True, True),
        (503, ServerError, True, True),
        (504, ServerError, True, True),
        (302, UnexpectedContent, True, False),
    ],
)
@pytest.mark.parametrize("body", [sample("error_500.json"), HTML, b"", b'{"message": "Anna Andersson"}'])
def test_each_status_has_its_error_without_the_body(
    status: int, kind: type[PublitracError], maybe_applied: bool, retryable: bool, body: bytes
) -> None:
    with pytest.raises(PublitracError) as caught:
        read_lead_id(response(body, status))
    error = caught.value
    page_of_another_host = (status, body) == (404, HTML)
    assert type(error) is (ConfigurationError if page_of_another_host else kind)
    assert (error.status, error.maybe_applied, error.retryable) == (status, maybe_applied, retryable)
    shown = f"{error} {error!r} {error.__dict__}"
    for hidden in ("Anna", "example.com", "1212", "stackTrace", "LeadService"):
        assert hidden not in shown


def test_a_web_page_from_a_proxy_is_reported() -> None:
    with pytest.raises(PermissionDenied, match="web page: a proxy may have responded"):
        read_lead_id(response(HTML, 403))


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'{"modelState":' + b"[" * 999 + b"]" * 999 + b"}",
    ],
    ids=["lists", "objects", "fields"],
)
def test_deep_json_is_a_typed_error(body: bytes, status: int) -> None:
    with pytest.raises(UnexpectedContent if status == 200 else ValidationError):
        read_lead_id(response(body, status))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(PermissionDenied, match="is not valid for this customer or function group"):
        read_lead_id(response(b"", 403))
    with pytest.raises(AuthenticationError, match="user name or password is wrong"):
        read_lead_id(response(b"", 401))


names = st.sampled_from(["modelState", "Message", "Person", "errors"]) | st.text()
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(names, inner),
    max_leaves=12,
)


@given(st.binary() | any_json.map(lambda value: json.dumps(value).encode()))
def test_any_refusal_is_a_validation_error(body: bytes) -> None:
    for field, reason, _ in problems(body):
        assert reason == REFUSED
        assert field is None or field.strip()


@given(st.binary() | any_json.map(lambda value: json.dumps(value).encode()))
def test_any_success_is_an_id_or_may_have_been_applied(body: bytes) -> None:
    try:
        assert read_lead_id(response(body)).strip()
    except UnexpectedContent as error:
        doubtful = error.maybe_applied
        assert doubtful
