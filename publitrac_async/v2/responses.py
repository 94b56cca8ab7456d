"""Read responses of API v2: their content, or their error."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import orjson

from publitrac_async.config import TOKEN_TTL
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    PermissionDenied,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.models import Accepted
from publitrac_async.transport.budget import OverBudget, load_json
from publitrac_async.transport.classify import error_for_status, is_html, wrong_address
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.vendor_messages import (
    concern_credentials,
    message_of_json,
    message_of_text,
    title_of,
)

#: The documents show a response with single quotes, which is not JSON; only this flat form is accepted ...
_SINGLE_QUOTED: Final = re.compile(
    r"""\{\s*'\w+'\s*:\s*(?:'[^'"\\]*'|\d+)(?:\s*,\s*'\w+'\s*:\s*(?:'[^'"\\]*'|\d+))*\s*\}"""
)
#: ... and a response of getToken without a comma.
_MISSING_COMMA: Final = re.compile(r'("(?:[^"\\]|\\.)*")\s+(?="\w+"\s*:)')

#: Status values of refusals; the documents list none.
_REFUSED: Final = frozenset({"error", "fail", "failed", "failure", "refused", "rejected"})
_NUMBER: Final = re.compile(r"[0-9]{1,9}")

_BY_CODE: Final[dict[int, type[ApiError]]] = {
    400: ValidationError,
    401: AuthenticationError,
    403: PermissionDenied,
    422: ValidationError,
    429: RateLimited,
}


def read_accepted(response: ServiceResponse) -> Accepted:
    """Read the response of delayedSync, which confirms that the lead is in the service's queue.

    Raises:
        PublitracError: the error in the response.
    """
    content = _read(response)
    return Accepted(status=str(content["status"]), code=int(content["code"]))


def read_token(response: ServiceResponse) -> tuple[Secret, float]:
    """Read the token of getToken, and its lifetime in seconds after the last use.

    Raises:
        PublitracError: the error in the response.
    """
    content = _read(response, token=True)
    token = content.pop("token", None)
    ttl = _ttl(content.get("ttl"))
    problem = None
    try:
        return Secret(token, "token", header=True), ttl
    except ConfigurationError as error:
        problem = error.message
    raise UnexpectedContent(f"the token request returned no usable token: {problem}", retryable=True)


def _ttl(value: Any) -> float:
    """Return the seconds of a number or a text such as ``"900"``, the documented default for others."""
    try:
        ttl = float(str(value))
    except ValueError:
        return TOKEN_TTL
    return ttl if math.isfinite(ttl) and ttl > 0 else TOKEN_TTL


def _read(response: ServiceResponse, *, token: bool = False) -> dict[str, Any]:
    """Read a response that reports success.

    Args:
        response: the response.
        token: a response without status and code is a success if it has a token.

    Raises:
        PublitracError: the error in the response.
    """
    failure = error_for_status(response)
    content = _parse(response.body)
    if content is None:
        page = is_html(response)
        problem = "the service sent a web page instead of JSON"
        if not page:
            problem = (
                "the response is empty" if not response.body.strip() else "the response is not a JSON object"
            )
        error = wrong_address(response) or failure or UnexpectedContent(problem, retryable=_was_cut(response))
        error.vendor_message = title_of(response.body) if page else message_of_text(response.body)
        raise error
    if failure is not None:
        failure.vendor_message = message_of_json(content)
        raise failure
    status, code = content.get("status"), _code(content.get("code"))
    refused = bool(content.get("error") or content.get("errors"))
    has_success_code = code is not None and 200 <= code < 300
    if not refused and status == "success" and has_success_code:
        return content | {"code": code}
    has_token = token and "token" in content and status in (None, "success")
    if not refused and has_token and (has_success_code or content.get("code") is None):
        return content
    words = message_of_json(content)
    if not refused and code is None and status in (None, "success") and not concern_credentials(words):
        raise UnexpectedContent("the response has no readable code", retryable=True, vendor_message=words)
    raise _refusal(status, code, words, response)


def _was_cut(response: ServiceResponse) -> bool:
    """Return True if the body is the beginning of a JSON object, so that a retry may return all of it."""
    if not response.body:
        return not response.framed
    return response.body.lstrip().startswith(b"{") and not response.body.rstrip().endswith(b"}")


def _refusal(status: Any, code: int | None, words: str | None, response: ServiceResponse) -> PublitracError:
    """Return the error for a response with HTTP 2xx that does not report success."""
    kind = _BY_CODE.get(code or 0, ApiError)
    if kind is ApiError and concern_credentials(words):
        kind = AuthenticationError
    elif code is not None and code >= 500:
        kind = ServerError
    # Without a known refusal, the effect of the call is unknown.
    unknown = kind is ServerError or (kind is ApiError and str(status).lower() not in _REFUSED)
    return kind(
        "the service failed" if kind is ServerError else "the service refused the call",
        status=response.status,
        code=code,
        maybe_applied=unknown,
        retry_after=response.retry_after,
        vendor_message=words,
    )


def _code(value: Any) -> int | None:
    text = str(value).strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def read_content(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a response, success or error; an empty one if the body has none."""
    return _parse(body) or {}


def _parse(body: bytes) -> dict[str, Any] | None:
    content: Any
    try:
        content = load_json(body)
    except orjson.JSONDecodeError:
        content = _parse_as_documented(body)
    except OverBudget:
        return None
    return content if isinstance(content, dict) else None


def _parse_as_documented(body: bytes) -> Any:
    """Parse the forms of the documents' samples: single quotes, or a missing comma."""
    if len(body) > 4096:
        return None
    text = body.decode("utf-8", "replace").strip()
    if _SINGLE_QUOTED.fullmatch(text):
        text = text.replace("'", '"')
    try:
        return orjson.loads(_MISSING_COMMA.sub(r"\1, ", text))
    except orjson.JSONDecodeError:
        return None
