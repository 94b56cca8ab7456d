"""Read the outcome of a v1 response: success or an error (API reference, annex "Codes d'erreurs").

Success is a status of the documented families, 1000 to 5999, without an `<error>`. Everything else is an
error: the documents do not show the response to a wrong key, a wrong password or too many calls.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Any, Final

from attrs import frozen

from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    Conflict,
    LeadNotFound,
    NotFound,
    PermissionDenied,
    Problem,
    PublitracError,
    RateLimited,
    ServerError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.classify import error_for_status, is_html, wrong_address
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps, run_steps
from publitrac_async.transport.vendor_messages import concern_credentials, joined, shortened, title_of
from publitrac_async.transport.xml import Convert
from publitrac_async.v1.codes import METHOD_FAILED, MISSING_ARGUMENT, REASONS, Code
from publitrac_async.v1.operations import METHODS
from publitrac_async.v1.reading import Content, children, number_of, read_response, text_of

logger: Final = logging.getLogger("publitrac_async")

#: Families of success statuses: 1100, 2001 to 2010, 3002 to 3004, 5001 and 5002 are documented.
_SUCCESS: Final = range(1000, 6000)
_DOCUMENTED: Final = frozenset(int(method.success[:4]) for method in METHODS.values())
#: HTTP statuses that the service may use as the vendor's status, in `<status>`.
_CREDENTIALS_REFUSED: Final = frozenset({401, 403, 407})
#: Beginning of an `<error>`: [code "-"], with or without spaces. These patterns must not take quadratic time,
#: since a text may have a megabyte.
_CODE: Final = re.compile(r"\s*(\d{4})\s*-")
#: "Score (x) must be a valid integer for ...": the words around the value, which may contain parentheses.
_FIELD: Final = re.compile(r"(\w{1,256})\s*\(")
_MUST_BE: Final = re.compile(r"\)\s*must be")
#: The field of a code, and the words around its value in the message.
_SUBJECTS: Final = {
    Code.EMAIL_IS_REQUIRED: ("email", None),
    Code.EMAIL_IS_INVALID: ("email", ("(", ")")),
    Code.LEAD_ALREADY_EXISTS: ("email", ("address", "already")),
    Code.LEAD_DOES_NOT_EXIST: ("email", ("(", ")")),
    Code.LIST_DOES_NOT_EXIST: ("listName", ("(", ")")),
    Code.LIST_IS_FILTERED: ("listName", None),
    Code.VIEW_DOES_NOT_EXIST: ("viewName", ("(", ")")),
}
_DOES_NOT_EXIST: Final = re.compile(r"not exist|not found", re.IGNORECASE)
_REQUIRED: Final = re.compile(r"required", re.IGNORECASE)
_FIELD_BY_LOWER_NAME: Final = {name.lower(): name for name in NATIVE_FIELDS}


@frozen
class Reply:
    """Successful response.

    Attributes:
        content: the parsed XML.
        status: the vendor's number.
        message: the vendor's message.
    """

    content: Content
    status: int
    message: str


def read_reply(response: ServiceResponse, convert: Convert | None = None) -> Steps[Reply]:
    """Read a successful response, in steps.

    Args:
        response: the response.
        convert: as in `publitrac_async.transport.xml`.

    Raises:
        PublitracError: the error in the response.
    """
    failure = error_for_status(response)
    # The documents do not mention HTTP statuses. These are more specific than a vendor's code.
    if isinstance(failure, (AuthenticationError, PermissionDenied, RateLimited)):
        failure.vendor_message = _message_of(response)
        raise failure
    if is_html(response):
        problem = "the service sent a web page instead of XML"
        error = wrong_address(response) or failure or UnexpectedContent(problem)
        error.vendor_message = title_of(response.body)
        raise error
    try:
        found = yield from read_response(response, convert)
    except UnexpectedContent as unreadable:
        error = wrong_address(response) or failure or unreadable.with_traceback(None)
        error.vendor_message = unreadable.vendor_message
        raise error from None
    content = found.children
    status = number_of(content, "status")
    lines = _error_lines(content)
    problems = [_problem(line) for line in lines]
    message = text_of(content, "message")
    words = shortened(message, *lines)
    if failure is not None:
        failure.vendor_message = words
    if isinstance(failure, ServerError) and not any(problem.code for problem in problems):
        raise failure
    has_status = text_of(content, "status") != ""
    if problems or (status not in _SUCCESS if has_status else concern_credentials(words)):
        raise _refusal(status, problems, message, words, response.status)
    if failure is not None:
        raise failure
    if status is None:
        raise UnexpectedContent("the response has no <status>", vendor_message=words)
    if status not in _DOCUMENTED:
        logger.warning("the service sent status %d, which its documents do not list", status)
    return Reply(found, status, message)


def _message_of(response: ServiceResponse) -> str | None:
    """Return the message in a response of any kind."""
    if is_html(response):
        return title_of(response.body)
    try:
        content = run_steps(read_response(response)).children
    except UnexpectedContent as error:
        return error.vendor_message
    return shortened(text_of(content, "message"), *_error_lines(content))


def _error_lines(content: dict[str, Any]) -> list[str]:
    places = [content, *children(content, "errors")]
    lines = [line for place in places for line in children(place, "error")]
    return [line if isinstance(line, str) else "" for line in lines if line]


def _problem(line: str) -> Problem:
    """Parse an `<error>`: code, field and value, if present."""
    match = _CODE.match(line)
    code = None if match is None else int(match[1])
    text = (line if match is None else line[match.end() :]).strip()
    name, value = _subject(code, text)
    return Problem(reason=_reason(code, text), code=code, field=name, value=value, text=text)


def _subject(code: int | None, text: str) -> tuple[str | None, str | None]:
    if code in (Code.INVALID_INTEGER, Code.INVALID_BOOLEAN):
        match, ends = _FIELD.match(text), [found.start() for found in _MUST_BE.finditer(text)]
        if match is None or not ends:
            return None, None
        return _FIELD_BY_LOWER_NAME.get(match[1].lower(), match[1]), text[match.end() : ends[-1]]
    name, around = _SUBJECTS.get(Code(code), (None, None)) if code in REASONS else (None, None)
    return name, None if around is None else _between(text, *around)


def _between(text: str, before: str, after: str) -> str | None:
    """Return the text between the first `before` and the last `after`, ``None`` without them."""
    begin, end = text.find(before), text.rfind(after)
    begin += len(before)
    return text[begin:end].strip() if len(before) <= begin <= end else None


def _reason(code: int | None, text: str) -> str:
    if code is None:
        return "refused without a code"
    if code in MISSING_ARGUMENT and not _is_missing(code, text):
        return MISSING_ARGUMENT[code]
    return REASONS.get(code, "refused with an unknown code")


def _is_missing(code: int | str | None, text: str | None) -> bool:
    """Return True if the lead, list or view does not exist. 9005 and 9009 also mean a missing parameter."""
    if code == Code.VIEW_DOES_NOT_EXIST:  # The documents show no message for it.
        return not _REQUIRED.search(text or "")
    return code in MISSING_ARGUMENT and _DOES_NOT_EXIST.search(text or "") is not None


def _refusal(
    status: int | None, problems: list[Problem], message: str, words: str | None, http_status: int
) -> PublitracError:
    """Return the error for a vendor's status and its `<error>` lines."""
    if not problems and status in REASONS and status not in METHOD_FAILED:
        problems = [_problem(f"{status} - {message}")]
    codes = {problem.code for problem in problems if problem.code is not None}
    # The `<error>` lines give the reason; the status may only name the failed method.
    code = next(iter(codes)) if len(codes) == 1 else status
    kind = _kind(status, problems, codes, words)
    reason = joined(map(str, problems))
    if kind is AuthenticationError:
        reason = "the service refused the credentials; its message is in vendor_message"
    if not reason:
        reason = REASONS.get(status or 0, "the service sent a status that its documents do not list")
    # The documents do not list such a status, so the effect of the call is unknown.
    unknown = kind is ApiError and not problems and (status is None or not 9000 <= status <= 9999)
    return kind(
        reason,
        problems=problems,
        status=http_status,
        code=code,
        maybe_applied=unknown,
        vendor_message=words,
    )


def _kind(
    status: int | None, problems: list[Problem], codes: set[int | str], words: str | None
) -> type[ApiError]:
    if not codes & REASONS.keys():
        if status in _CREDENTIALS_REFUSED or concern_credentials(words):
            return AuthenticationError
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited
    if Code.LEAD_ALREADY_EXISTS in codes:
        return Conflict
    if problems and all(_is_missing(problem.code, problem.text) for problem in problems):
        return LeadNotFound if codes == {Code.LEAD_DOES_NOT_EXIST} else NotFound
    if status == Code.GET_LEAD and not problems:
        return LeadNotFound
    if codes & REASONS.keys() or (problems and status in REASONS):
        return ValidationError
    return ApiError
