"""What an HTTP status means when the vendor's documents say nothing of it."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Iterable
from http import HTTPStatus

from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    Conflict,
    NotFound,
    PermissionDenied,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.operation import Answer

_BY_STATUS: dict[int, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: ValidationError,
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: PermissionDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: ValidationError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}
#: A gateway or a restart; 501 and 505 would come back the same.
_PASSING = frozenset({408, 500, 502, 503, 504})


def error_for_status(answer: Answer) -> PublitracError | None:
    """The error an HTTP status stands for, ``None`` for 2xx.

    A 4xx says that the request was refused; after a 5xx, a redirect or a 408 nobody knows whether it
    was executed.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    if 300 <= status < 400 or status < 200:
        return UnexpectedContent(
            "the service answered with a redirect, which is never followed; check base_url",
            status=status,
            maybe_applied=True,
        )
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(_phrase(status), status=status, retry_after=answer.retry_after)
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return ServerError(
            _phrase(status),
            status=status,
            retryable=status in _PASSING,
            maybe_applied=True,
            retry_after=answer.retry_after,
        )
    return ApiError(_phrase(status), status=status)


def is_html(answer: Answer) -> bool:
    """Whether the answer is a web page: a login form, a maintenance notice, a captive portal."""
    start = answer.body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def parse_retry_after(values: Iterable[str], *, now: float | None = None) -> float | None:
    """Seconds that ``Retry-After`` fields ask for: a number or an HTTP date, the longest of several.

    Garbage, negative figures and dates gone by count as absent.

    Args:
        values: the field values.
        now: seconds since the epoch, the current time by default.
    """
    waits = [wait for value in values if (wait := _seconds(value, now)) is not None]
    return max(waits, default=None)


def _seconds(value: str, now: float | None) -> float | None:
    try:
        wait = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value).timestamp()
        except (ValueError, OverflowError, OSError):  # No date, or one that no clock can show.
            return None
        wait = date - (time.time() if now is None else now)
    return wait if math.isfinite(wait) and wait >= 0 else None


def _phrase(status: int) -> str:
    try:
        return f"the service answered {HTTPStatus(status).phrase}"
    except ValueError:
        return "the service answered with an unknown HTTP status"
