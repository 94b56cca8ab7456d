"""A response of v2 counts only as what it states: a lead was queued, a token was issued, or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from publitrac_async import (
    Accepted,
    ApiError,
    AuthenticationError,
    PermissionDenied,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.v2 import responses


def error_of(read: Callable[[ServiceResponse], Any], content: object, status: int = 200) -> PublitracError:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    with pytest.raises(PublitracError) as caught:
        read(ServiceResponse(status, body))
    return caught.value


@pytest.mark.parametrize("code", [200, "200", 201, 202])
def test_a_lead_is_queued_by_a_success_with_a_code_of_success(code: object) -> None:
    body = orjson.dumps({"status": "success", "code": code, "message": "queued"})
    assert responses.read_accepted(ServiceResponse(200, body)) == Accepted(
        status="success", code=int(str(code))
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"status": "error", "code": 400, "message": "leadInfo.email is invalid"}, ValidationError),
        ({"status": "error", "code": 401, "message": "bad"}, AuthenticationError),
        ({"status": "success", "code": 401}, AuthenticationError),
        ({"status": "error", "code": 403}, PermissionDenied),
        ({"status": "error", "code": 429}, RateLimited),
        ({"status": "error", "code": 500}, ServerError),
        ({"status": "error", "code": 0, "message": "Invalid API key"}, AuthenticationError),
        ({"status": "error", "message": "Invalid API key"}, AuthenticationError),
        ({"message": "Invalid API key"}, AuthenticationError),
        ({"error": "Invalid API key"}, AuthenticationError),
        ({"error": "unknown route"}, ApiError),
        ({"status": "success", "code": 200, "error": "Invalid API key"}, AuthenticationError),
        ({"status": "success", "code": 200, "errors": ["email"]}, ApiError),
        ({"status": "error", "code": 200}, ApiError),
        ({"status": "success", "code": 0}, ApiError),
        ({"status": "success", "code": 1000}, ServerError),
        ({"status": "accepted", "code": 202}, ApiError),
        ({"status": "success"}, UnexpectedContent),
        ({}, UnexpectedContent),
    ],
)
def test_everything_else_is_an_error(content: dict[str, Any], kind: type[PublitracError]) -> None:
    error = error_of(responses.read_accepted, content)
    assert type(error) is kind
    assert error.vendor_message == content.get("message", content.get("error")) or "errors" in content


@pytest.mark.parametrize(
    ("content", "unknown"),
    [
        ({"status": "error", "code": 3}, False),
        ({"status": "accepted", "code": 202}, True),
        ({"status": "success", "code": 0}, True),
        ({"status": "error", "code": 500}, True),
        ({"status": "error", "code": 401}, False),
    ],
)
def test_an_undocumented_response_leaves_the_effect_open(content: object, *, unknown: bool) -> None:
    assert error_of(responses.read_accepted, content).maybe_applied is unknown


@pytest.mark.parametrize(
    "content",
    [
        {"token": "t", "status": "error", "code": 401},
        {"token": "t", "code": 401},
        {"token": "t", "error": "Invalid API key"},
        {"token": None, "status": "error", "code": 401, "message": "no"},
        {"token": "", "message": "Invalid API key", "status": "error"},
        {"status": "error", "message": "Invalid API key"},
    ],
)
def test_a_refusal_is_no_token(content: object) -> None:
    assert isinstance(error_of(responses.read_token, content), AuthenticationError)


def test_a_token_may_come_with_a_success() -> None:
    body = orjson.dumps({"status": "success", "code": 200, "token": "t", "ttl": "900"})
    secret, _ = responses.read_token(ServiceResponse(200, body))
    assert secret.reveal() == "t"


@pytest.mark.parametrize("read", [responses.read_accepted, responses.read_token])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
def test_the_message_is_recognized_with_any_http_status(
    read: Callable[[ServiceResponse], Any], status: int
) -> None:
    error = error_of(read, {"status": "error", "code": status, "message": "leadInfo.email is wrong"}, status)
    assert error.vendor_message == "leadInfo.email is wrong"
    assert "leadInfo" not in str(error) + repr(error)
