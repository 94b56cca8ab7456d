"""The JSON of API v2: bodies out, answers in."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import orjson

from publitrac_async.checks import check_lead
from publitrac_async.config import TOKEN_TTL
from publitrac_async.converters import lead_to_wire
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
from publitrac_async.models import Accepted, Lead
from publitrac_async.transport.classify import error_for_status, is_html
from publitrac_async.transport.operation import Answer
from publitrac_async.transport.secret import Secret
from publitrac_async.v2.operations import DELAYED_SYNC

#: The documents show an answer with single quotes, which is no JSON. Only this flat form is understood.
_SINGLE_QUOTED: Final = re.compile(
    r"""\{\s*'\w+'\s*:\s*(?:'[^'"\\]*'|\d+)(?:\s*,\s*'\w+'\s*:\s*(?:'[^'"\\]*'|\d+))*\s*\}"""
)
#: ... and one of getToken without its comma.
_MISSING_COMMA: Final = re.compile(r'("(?:[^"\\]|\\.)*")\s+(?="\w+"\s*:)')

_NUMBER: Final = re.compile(r"[0-9]{1,9}")

_BY_CODE: Final[dict[int, type[ApiError]]] = {
    400: ValidationError,
    401: AuthenticationError,
    403: PermissionDenied,
    422: ValidationError,
    429: RateLimited,
}


def lead_body(lead: Lead) -> bytes:
    """The body of delayedSync; the same for the same lead, whatever the order of its custom fields.

    Raises:
        ValidationError: the e-mail address or another value is missing or cannot be written.
    """
    name = DELAYED_SYNC.name
    check_lead(lead, name)
    native, custom = lead_to_wire(lead, name)
    body: dict[str, Any] = {"leadInfo": native}
    if custom:
        body["leadCustomField"] = custom
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def read_accepted(answer: Answer) -> Accepted:
    """The result of delayedSync: the lead is in the service's queue.

    Raises:
        PublitracError: the error that the answer stands for.
    """
    content = _read(answer)
    return Accepted(status=str(content["status"]), code=int(content["code"]))


def read_token(answer: Answer) -> tuple[Secret, float]:
    """The token of getToken, and the seconds it lives after its last use.

    Raises:
        PublitracError: the error that the answer stands for.
    """
    content = _read(answer, success=False)
    token = content.pop("token", None)
    ttl = _ttl(content.get("ttl"))
    problem = None
    try:
        return Secret(token, "token", header=True), ttl
    except ConfigurationError as error:
        problem = error.message
    raise UnexpectedContent(f"the log-in brought no usable token: {problem}", retryable=True)


def _ttl(value: Any) -> float:
    """Seconds from the text ``"900"`` or a number; the documented default if it is neither."""
    try:
        ttl = float(str(value))
    except ValueError:
        return TOKEN_TTL
    return ttl if math.isfinite(ttl) and ttl > 0 else TOKEN_TTL


def _read(answer: Answer, *, success: bool = True) -> dict[str, Any]:
    failure = error_for_status(answer)
    if failure is not None:
        raise failure
    content = _parse(answer.body)
    if content is None and is_html(answer):
        raise UnexpectedContent("the service answered with a web page instead of JSON")
    if content is None:
        raise UnexpectedContent("the answer is not the JSON object that the documents show", retryable=True)
    status, code = content.get("status"), _code(content.get("code"))
    if "token" in content and not success:
        return content
    if status == "success" and code is not None and 200 <= code < 300:
        return content | {"code": code}
    if code is None and status in (None, "success"):
        raise UnexpectedContent("the answer has no code that can be read", retryable=True)
    raise _refusal(code, answer)


def _refusal(code: int | None, answer: Answer) -> PublitracError:
    """The error for an answer that came with HTTP 200 and does not say success."""
    if code is not None and code >= 500:
        return ServerError("the service failed", status=answer.status, code=code, maybe_applied=True)
    kind = _BY_CODE.get(code or 0, ApiError)
    return kind("the service refused", status=answer.status, code=code, retry_after=answer.retry_after)


def _code(value: Any) -> int | None:
    text = str(value).strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def _parse(body: bytes) -> dict[str, Any] | None:
    content: Any
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = _parse_as_documented(body)
    return content if isinstance(content, dict) else None


def _parse_as_documented(body: bytes) -> Any:
    """The documents' own samples: quotes are single, or a comma is missing."""
    if len(body) > 4096:
        return None
    text = body.decode("utf-8", "replace").strip()
    if _SINGLE_QUOTED.fullmatch(text):
        text = text.replace("'", '"')
    try:
        return orjson.loads(_MISSING_COMMA.sub(r"\1, ", text))
    except orjson.JSONDecodeError:
        return None
