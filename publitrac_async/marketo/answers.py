"""What an answer of Marketo says: its content, or which error."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import orjson
from attrs import frozen

from publitrac_async.config import MARKETO_TOKEN_LIFE
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    LeadNotFound,
    NotFound,
    Problem,
    PublitracError,
    QuotaExhausted,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.marketo.codes import STATUSES, make_error, meaning_of
from publitrac_async.marketo.models import FieldResult, LeadField, LeadSchema, MarketoLead, RecordResult
from publitrac_async.marketo.paging import MarketoPage
from publitrac_async.marketo.structuring import structure, structure_lead
from publitrac_async.transport.classify import error_for_status, is_html
from publitrac_async.transport.operation import Answer
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.vendor_words import words_of_json

T = TypeVar("T")
R = TypeVar("R", RecordResult, FieldResult)

_NO_SUCH_FIELD: Final = "1006"
_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,40}")
#: Told with an error, since it is the first thing that Marketo's support asks for.
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z#_\-]{1,64}")


@frozen
class Envelope:
    """A successful answer.

    Attributes:
        result: what came; empty where the operation returns nothing.
        next_page_token: asks for the next page.
        more_result: whether there is one; ``None`` where the answer does not say.
    """

    result: list[Any]
    next_page_token: str | None
    more_result: bool | None


def read(answer: Answer, *, now: Callable[[], float] = time.time) -> Envelope:
    """The content of a successful answer.

    Raises:
        PublitracError: the error that the answer stands for.
    """
    content = _parse(answer.body)
    errors = _errors(content)
    if errors and content is not None and content.get("success") is not True:
        raise _refusal(errors, content, answer, now())
    failure = _status_error(answer, now())
    if failure is None and is_html(answer):
        failure = UnexpectedContent("the service answered with a web page instead of JSON", retryable=True)
    if failure is not None:
        raise failure
    if content is None:
        raise UnexpectedContent("the answer is not a JSON object", retryable=True)
    if content.get("success") is False:
        raise ApiError(f"refused without a code{_request(content)}", status=answer.status)
    result = content.get("result", [])
    if content.get("success") is not True or not isinstance(result, list):
        raise UnexpectedContent("the answer is not what Marketo documents: success, result", retryable=True)
    token, more = content.get("nextPageToken"), content.get("moreResult")
    return Envelope(
        result, token if isinstance(token, str) and token else None, more if isinstance(more, bool) else None
    )


def done(answer: Answer) -> None:
    """Nothing, for operations that return nothing."""
    read(answer)


def one_lead(answer: Answer) -> MarketoLead:
    """The lead of Get Lead by Id.

    Raises:
        LeadNotFound: there is none. What Marketo answers for an unknown id is not documented, so an empty
            result and each of its codes for "not found" mean it.
    """
    problem: int | str | None = None
    try:
        result = read(answer).result
    except NotFound as error:
        result, problem = [], error.code
    if not result:
        raise LeadNotFound("there is no lead with this id", status=answer.status, code=problem)
    return structure_lead(result[0])


def page(answer: Answer, item: Callable[[Any], T]) -> MarketoPage[T]:
    """One page.

    It is the last one if `moreResult` says so or no token came: some operations send the one, some the
    other. A page may be empty and not be the last.
    """
    envelope = read(answer)
    token = None if envelope.more_result is False else envelope.next_page_token
    return MarketoPage(tuple(item(each) for each in envelope.result), token)


def items(answer: Answer, kind: type[T]) -> tuple[T, ...]:
    """All items of a result."""
    return tuple(structure(each, kind) for each in read(answer).result)


def schema(answer: Answer) -> LeadSchema:
    """The one item of Describe Lead2."""
    return _only(answer, LeadSchema)


def one_field(answer: Answer) -> LeadField:
    """The field of Get Lead Field by Name.

    Raises:
        NotFound: there is none.
    """
    problem: int | str | None = None
    try:
        result = read(answer).result
    except ValidationError as error:
        if error.code != _NO_SUCH_FIELD:
            raise
        result, problem = [], error.code
    if not result:
        raise NotFound("there is no field with this name", status=answer.status, code=problem)
    return structure(result[0], LeadField)


def results(answer: Answer, kind: type[R], count: int) -> tuple[R, ...]:
    """What became of each record, in input order.

    Raises:
        UnexpectedContent: results and records do not match in number, so none can be told apart.
    """
    found = items(answer, kind)
    if len(found) != count:
        raise UnexpectedContent(f"{len(found)} results came for {count} records", maybe_applied=True)
    return found


def read_token(answer: Answer) -> tuple[Secret, float]:
    """The token of Identity, and the seconds it lives from now.

    Raises:
        PublitracError: the error that the answer stands for.
    """
    failure = error_for_status(answer)
    content = _parse(answer.body)
    if failure is not None:
        code = content.get("error") if content is not None else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            failure.code = code
        if isinstance(failure, AuthenticationError):
            failure.args = ("Identity refused client_id or client_secret",)
        raise failure
    if content is not None and content.get("error"):
        raise AuthenticationError(
            "Identity refused client_id or client_secret",
            status=answer.status,
            vendor_message=words_of_json(content),
        )
    token: Any = None if content is None else content.pop("access_token", None)
    life = 0.0 if content is None else _seconds(content.get("expires_in"))
    problem = None
    try:
        return Secret(token, "token", header=True), max(life, MARKETO_TOKEN_LIFE)
    except ConfigurationError as error:
        problem = error.message
    raise UnexpectedContent(f"Identity brought no usable token: {problem}", retryable=True)


def _seconds(value: Any) -> float:
    """Seconds from a number or a text; 0 if it is neither."""
    try:
        seconds = float(str(value))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _only(answer: Answer, kind: type[T]) -> T:
    result = read(answer).result
    if len(result) != 1:
        raise UnexpectedContent(f"{len(result)} items came where one was expected")
    return structure(result[0], kind)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None


def _errors(content: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Code and text of each error. Codes are strings; a number is taken as well."""
    listed = content.get("errors") if content is not None else None
    if not isinstance(listed, list):
        return []
    found = []
    for error in listed:
        if isinstance(error, dict):
            code = str(error.get("code", ""))
            found.append((code if _CODE.fullmatch(code) else "", str(error.get("message", ""))))
    return found


def _refusal(errors: list[tuple[str, str]], content: dict[str, Any], answer: Answer, now: float) -> ApiError:
    """The error for an answer's list of errors: what concerns the credentials or the day comes first."""
    meanings = [(meaning_of(code, text), code, text) for code, text in errors]
    meanings.sort(key=lambda row: not issubclass(row[0].kind, AuthenticationError | QuotaExhausted))
    decisive, code, _ = meanings[0]
    problems = [Problem(row.reason, code=code or None, text=text) for row, code, text in meanings]
    reason = "; ".join(dict.fromkeys(problem.reason for problem in problems))
    return make_error(
        decisive,
        now=now,
        reason=reason + _request(content),
        code=code or None,
        status=answer.status,
        problems=problems,
    )


def _status_error(answer: Answer, now: float) -> PublitracError | None:
    meaning = STATUSES.get(answer.status)
    if meaning is not None:
        return make_error(meaning, now=now, status=answer.status)
    return error_for_status(answer)


def _request(content: dict[str, Any]) -> str:
    number = content.get("requestId")
    return f" (request {number})" if isinstance(number, str) and _REQUEST_ID.fullmatch(number) else ""
