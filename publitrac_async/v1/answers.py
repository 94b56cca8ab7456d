"""What an answer of v1 says: success, or which error (annex of the API reference, "Codes d'erreurs")."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import frozen

from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.errors import (
    ApiError,
    Conflict,
    LeadNotFound,
    NotFound,
    Problem,
    PublitracError,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.transport.classify import error_for_status, is_html
from publitrac_async.transport.operation import Answer
from publitrac_async.v1.reading import children, number_of, read_response, text_of

#: `<error>` := [code "-"] text, with or without the spaces.
_ERROR: Final = re.compile(r"\s*(?:(\d{4})\s*-\s*)?(.*?)\s*", re.DOTALL)
_SUBJECT: Final = re.compile(r"\(([^()]*)\)")
_FIELD: Final = re.compile(r"(\w+)\s*\(")
_MISSING: Final = re.compile(r"not exist|not found", re.IGNORECASE)
_FIELD_BY_LOWER_NAME: Final = {name.lower(): name for name in NATIVE_FIELDS}

#: Codes whose meaning is clear from the annex. 9006 and 9007 mean what the messages use them for, not
#: what their constants are called.
_REASONS: Final = {
    9001: "an e-mail address is required",
    9002: "not an e-mail address",
    9003: "an external id is not defined",
    9004: "the lead exists already",
    9005: "the lead does not exist, or its e-mail address is missing",
    9006: "must be a valid integer",
    9007: "must be 0 or 1",
    9008: "the account has no such custom field",
    9009: "the list does not exist, or its name is missing",
    9010: "the view does not exist",
    9011: "the XML was rejected",
    9012: "leads cannot be added to a filtered list, only to a static one",
    9013: "leads were not added to the list",
    9014: "the lead was not removed from the list",
    9015: "the lead was not found",
    9016: "the lead was not created",
    9017: "the lead was not updated",
    9018: "the lead was not synchronized",
}
_GET_LEAD: Final = 9015
_FIELD_CODES: Final = frozenset({9006, 9007})


@frozen
class Reply:
    """A successful answer.

    Attributes:
        content: the children of `<response>`.
        status: the vendor's number.
        message: the vendor's words.
    """

    content: dict[str, Any]
    status: int
    message: str


def read_reply(answer: Answer) -> Reply:
    """The content of a successful answer.

    Success is what is no failure: a status outside 9000 to 9999 and no `<error>`. The numbers and
    messages of success vary too much in the documents to be compared.

    Raises:
        PublitracError: the error that the answer stands for.
    """
    failure = error_for_status(answer)
    if is_html(answer):
        raise failure or UnexpectedContent("the service answered with a web page instead of XML")
    try:
        content = read_response(answer.body, framed=answer.framed)
    except UnexpectedContent as error:
        raise failure or error.with_traceback(None) from None
    status = number_of(content, "status")
    errors = [line for line in children(next(iter(children(content, "errors")), None), "error") if line]
    if status is None:
        raise failure or UnexpectedContent("the answer has no <status>")
    if errors or 9000 <= status <= 9999:
        raise _error(status, [_problem(str(line)) for line in errors], answer.status)
    if failure is not None:
        raise failure
    return Reply(content, status, text_of(content, "message"))


def _problem(line: str) -> Problem:
    match = _ERROR.fullmatch(line)
    assert match is not None  # The pattern matches any text.
    code = int(match.group(1)) if match.group(1) else None
    text = match.group(2)
    subject = _SUBJECT.search(text)
    named = _FIELD.match(text)
    name = _FIELD_BY_LOWER_NAME.get(named.group(1).lower()) if named and code in _FIELD_CODES else None
    if code in (9001, 9002):
        name = "email"
    return Problem(
        reason=_reason(code, text),
        code=code,
        field=name,
        value=subject.group(1) if subject else None,
        text=text,
    )


def _reason(code: int | None, text: str) -> str:
    if code == 9005:
        return "the lead does not exist" if _MISSING.search(text) else "the lead's e-mail address is missing"
    if code == 9009:
        return "the list does not exist" if _MISSING.search(text) else "the list's name is missing"
    if code is None:
        return "refused without a code"
    return _REASONS.get(code, "refused with an unknown code")


def _error(status: int, problems: list[Problem], http_status: int) -> PublitracError:
    """The error for a vendor status and the `<error>` lines under it."""
    codes = {problem.code for problem in problems if problem.code is not None}
    # The lines say what is wrong; the status over them only which method failed.
    decisive = next(iter(codes)) if len(codes) == 1 else None
    code = decisive if isinstance(decisive, int) else status
    text = "; ".join(dict.fromkeys(map(str, problems))) or _REASONS.get(status, "refused")
    context: dict[str, Any] = {"status": http_status, "code": code}
    missing = [problem for problem in problems if _MISSING.search(problem.text or "")]
    if 9004 in codes:
        return Conflict(text, **context)
    if codes == {9005} and missing == problems:
        return LeadNotFound(text, **context)
    if status == _GET_LEAD and not problems:
        return LeadNotFound(text, **context)
    if codes in ({9009}, {9010}) and (missing == problems or codes == {9010}):
        return NotFound(text, **context)
    if problems or status in _REASONS:
        return ValidationError(text, problems=problems, **context)
    return ApiError(text, **context)
