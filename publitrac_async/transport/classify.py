"""Map HTTP statuses and headers to errors, for responses that the vendor's documents do not cover.

`transport/retry.py` names the places that decide what follows an error, such as `RateLimited`.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import time
from collections.abc import Iterable
from http import HTTPStatus

from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    Conflict,
    NotFound,
    PermissionDenied,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.operation import ServiceResponse

_BY_STATUS: dict[int, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: ValidationError,
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: PermissionDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: ValidationError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}
#: Statuses of gateways and restarts. A retry would not change 501 or 505.
_TRANSIENT = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 527, 530})
#: Statuses that a gateway sends instead of the service (511: RFC 6585, the others: Cloudflare's table).
_GATEWAY = {
    511: "a login to the network is required",
    520: "the response of the service was not usable",
    521: "the service refused the connection",
    522: "the connection to the service timed out",
    523: "the service is unreachable",
    524: "the service took too long",
    525: "the TLS handshake with the service failed",
    526: "the service's certificate is not valid",
    527: "the connection to the service was interrupted",
    530: "the host name of the service was not found",
}
#: Those that a gateway sends before it forwards the request. With 522 it may have forwarded it.
_NEVER_REACHED = frozenset({511, 521, 523, 525, 526, 530})
#: The request was refused before it was processed, because of its connection (RFC 9110 and RFC 8470).
_WRONG_CONNECTION = frozenset({HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_EARLY})
_ADVICE: dict[int, str] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ": send less in one call",
    HTTPStatus.REQUEST_URI_TOO_LONG: ": send fewer conditions or values in one call",
}


def error_for_status(response: ServiceResponse) -> PublitracError | None:
    """Return the error for an HTTP status, ``None`` for 2xx.

    A 4xx means that the request was refused; after a 5xx, a redirect or a 408 the outcome is unknown, unless
    a network in front of the service reports that the request did not reach it.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    if status < 400:
        redirect = status >= 300 and status != HTTPStatus.NOT_MODIFIED
        return UnexpectedContent(
            "the service sent a redirect, which is never followed; check base_url"
            if redirect
            else "the service sent an unexpected status; check base_url and any proxy",
            status=status,
            maybe_applied=True,
        )
    kind = _BY_STATUS.get(status)
    if kind is not None:
        return kind(_phrase(status), status=status, retry_after=response.retry_after)
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return ServerError(
            _phrase(status),
            status=status,
            retryable=status in _TRANSIENT,
            maybe_applied=status not in _NEVER_REACHED,
            retry_after=response.retry_after,
        )
    return ApiError(
        _phrase(status) + _ADVICE.get(status, ""),
        status=status,
        retryable=status in _WRONG_CONNECTION,
        retry_after=response.retry_after,
    )


def wrong_address(response: ServiceResponse) -> ConfigurationError | None:
    """Return the error for an HTTP 404 that is not from the API, ``None`` for other responses."""
    if response.status != HTTPStatus.NOT_FOUND:
        return None
    kind = "a web page" if is_html(response) else "a body in another format"
    return ConfigurationError(
        f"the API is not at this address (HTTP 404 with {kind}): check base_url, which is the host without "
        "the path of the API",
        status=response.status,
    )


def is_html(response: ServiceResponse) -> bool:
    """Return True for a web page: a login form, a maintenance notice, a captive portal."""
    start = response.body[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def parse_retry_after(values: Iterable[str], *, now: float | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for: a number or an HTTP date, the longest of several.

    Garbage, negative numbers and past dates count as absent.

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
            date = email.utils.parsedate_to_datetime(value)
            if date.tzinfo is None:  # All dates in HTTP are in UTC; one of their formats does not say so.
                date = date.replace(tzinfo=dt.UTC)
            wait = date.timestamp() - (time.time() if now is None else now)
        except (ValueError, OverflowError, OSError):  # Not a date, or out of range.
            return None
    return wait if math.isfinite(wait) and wait >= 0 else None


def _phrase(status: int) -> str:
    if status in _GATEWAY:
        return f"a gateway in front of the service reports: {_GATEWAY[status]}"
    try:
        return f"the service responded {HTTPStatus(status).phrase}"
    except ValueError:
        return "the service responded with an unknown HTTP status"
