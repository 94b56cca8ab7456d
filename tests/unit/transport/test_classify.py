"""The meaning of statuses and `Retry-After` fields."""

from __future__ import annotations

import email.utils
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from publitrac_async.transport.classify import error_for_status, is_html, parse_retry_after
from publitrac_async.transport.operation import ServiceResponse

NOW = 1_800_000_000.0


def date(offset: float) -> str:
    return email.utils.formatdate(NOW + offset, usegmt=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        (["0"], 0.0),
        (["1"], 1.0),
        (["1.5"], 1.5),
        ([" 61 "], 61.0),
        (["86400"], 86400.0),
        (["-1"], None),
        (["abc"], None),
        ([""], None),
        (["nan"], None),
        (["inf"], None),
        (["-inf"], None),
        (["1e999"], None),
        ([date(120)], 120.0),
        ([date(0)], 0.0),
        ([date(-120)], None),
        (["Mon, 01 Jan 99999999999999999999 00:00:00 GMT"], None),
        (["Fri, 31 Feb 2027 00:00:00 GMT"], None),
        (["1", "5"], 5.0),
        (["abc", "5"], 5.0),
        (["abc", "-5"], None),
        ([date(120), "5"], 120.0),
    ],
)
def test_retry_after_is_parsed_or_ignored(values: list[str], expected: float | None) -> None:
    assert parse_retry_after(values, now=NOW) == expected


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        ("Fri Jan 15 08:01:00 2027", 60.0),
        ("Fri, 15 Jan 2027 08:01:00", 60.0),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 60.0),
        ("Fri, 15 Jan 2027 09:01:00 +0100", 60.0),
        ("Fri, 15 Jan 2027 08:01:00 +0100", None),
    ],
)
def test_a_date_is_read_the_same_on_every_host(
    value: str, expected: float | None, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert parse_retry_after([value], now=NOW) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text(max_size=60))
@example("Mon, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Thu, 01 Jan 0001 00:00:00 -0000")
@example("Thu, 01 Jan 1970 00:00:00 +99999999999999")
@example("1 Jan 1 0:0:0 -0000")
@example("9" * 5000)
@example(" ")
def test_no_field_is_too_strange(value: str) -> None:
    wait = parse_retry_after([value], now=NOW)
    assert wait is None or wait >= 0


@given(
    st.builds(
        "{}, {} {} {} {}:{}:{} {}".format,
        st.sampled_from(["Mon", "", "Xyz"]),
        *[st.integers(-1, 40)],
        st.sampled_from(["Jan", "Dec", "Foo", ""]),
        st.integers(-5, 10**22),
        *[st.integers(-1, 10**12)] * 3,
        st.sampled_from(["GMT", "-0000", "+9999", "-99999999999", "", "EST"]),
    )
)
def test_no_date_is_too_strange(value: str) -> None:
    wait = parse_retry_after([value], now=NOW)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "maybe_applied"),
    [
        (101, "UnexpectedContent", False, True),
        (301, "UnexpectedContent", False, True),
        (304, "UnexpectedContent", False, True),
        (307, "UnexpectedContent", False, True),
        (400, "ValidationError", False, False),
        (401, "AuthenticationError", False, False),
        (402, "ApiError", False, False),
        (403, "PermissionDenied", False, False),
        (404, "NotFound", False, False),
        (405, "ApiError", False, False),
        (408, "ServerError", True, True),
        (409, "Conflict", False, False),
        (413, "ApiError", False, False),
        (418, "ApiError", False, False),
        (421, "ApiError", True, False),
        (422, "ValidationError", False, False),
        (425, "ApiError", True, False),
        (429, "RateLimited", True, False),
        (499, "ApiError", False, False),
        (500, "ServerError", True, True),
        (501, "ServerError", False, True),
        (502, "ServerError", True, True),
        (503, "ServerError", True, True),
        (504, "ServerError", True, True),
        (505, "ServerError", False, True),
        (511, "ServerError", False, False),
        (599, "ServerError", False, True),
        (520, "ServerError", True, True),
        (521, "ServerError", True, False),
        (522, "ServerError", True, True),
        (523, "ServerError", True, False),
        (524, "ServerError", True, True),
        (525, "ServerError", True, False),
        (526, "ServerError", False, False),
        (527, "ServerError", True, True),
        (530, "ServerError", True, False),
        (414, "ApiError", False, False),
    ],
)
def test_each_status_has_its_error(status: int, kind: str, retryable: bool, maybe_applied: bool) -> None:
    error = error_for_status(ServiceResponse(status, b"secret body", retry_after=7.0))
    assert error is not None
    assert (type(error).__name__, error.retryable, error.maybe_applied) == (kind, retryable, maybe_applied)
    assert error.status == status
    assert "secret" not in str(error)
    if kind in ("RateLimited", "ServerError"):
        assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("status", "says"),
    [(301, "a redirect"), (308, "a redirect"), (304, "unexpected status"), (101, "unexpected status")],
)
def test_only_a_redirect_is_called_one(status: int, says: str) -> None:
    assert says in str(error_for_status(ServiceResponse(status, b"")))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_status_is_no_error(status: int) -> None:
    assert error_for_status(ServiceResponse(status, b"")) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<!DOCTYPE html><html>", True),
        (b"\xef\xbb\xbf\r\n <HTML lang=fr>", True),
        (b"<head>", True),
        (b"<?xml version='1.0'?><response/>", False),
        (b"{}", False),
        (b"", False),
    ],
)
def test_web_pages_are_recognised(body: bytes, expected: bool) -> None:
    assert is_html(ServiceResponse(200, body)) is expected
