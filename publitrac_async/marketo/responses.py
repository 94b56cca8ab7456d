"""Read responses of Marketo: their content, or their error."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

import orjson
from attrs import frozen

from publitrac_async.config import MARKETO_TOKEN_LIFE
from publitrac_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    LeadNotFound,
    NotFound,
    PublitracError,
    QuotaExhausted,
    UnexpectedContent,
    ValidationError,
)
from publitrac_async.marketo.codes import (
    NO_FIELD,
    NO_LEAD,
    STATUSES,
    code_of,
    make_error,
    meaning_of,
    problems_of,
    text_of,
)
from publitrac_async.marketo.matching import by_index
from publitrac_async.marketo.models import LeadField, LeadSchema, MarketoLead
from publitrac_async.marketo.paging import MarketoPage
from publitrac_async.marketo.results import Reason
from publitrac_async.marketo.structuring import (
    structure,
    structure_all,
    structure_each,
    structure_lead,
    structure_reasons,
    structure_result,
)
from publitrac_async.transport.budget import OverBudget, load_json
from publitrac_async.transport.classify import error_for_status, is_html, wrong_address
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.secret import Secret
from publitrac_async.transport.vendor_messages import joined, message_of_json

T = TypeVar("T")

#: Function that returns the result of each record.
Match: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], list[Any]]

logger: Final = logging.getLogger("publitrac_async")

_TOO_LONG: Final = "604"
_TOO_MANY: Final = re.compile(r"too many", re.IGNORECASE)
#: Form of the id that errors show: Marketo's support asks for it.
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z#_\-]{1,64}")


@frozen
class Envelope:
    """Successful response.

    Attributes:
        result: its items; empty if the operation returns nothing.
        next_page_token: token of the next page.
        more_result: True if there is a next page; ``None`` if the response does not report it.
        warnings: Marketo's warnings.
    """

    result: list[Any]
    next_page_token: str | None
    more_result: bool | None
    warnings: tuple[Reason, ...] = ()


def read(response: ServiceResponse, *, now: Callable[[], float] = time.time) -> Envelope:
    """Return the content of a successful response.

    Raises:
        PublitracError: the error in the response.
    """
    content = _parse(response.body)
    errors = _errors(content)
    if errors and content is not None and (content.get("success") is not True or not content.get("result")):
        raise _refusal(errors, content, response, now())
    failure = _status_error(response, now())
    if content is None:
        failure = wrong_address(response) or failure
    if failure is None and is_html(response):
        failure = UnexpectedContent("the service sent a web page instead of JSON", retryable=True)
    if failure is not None:
        raise failure
    if content is None:
        raise UnexpectedContent("the response is not a JSON object", retryable=True)
    if content.get("success") is False:
        raise ApiError(f"Marketo refused the call without a code{_request(content)}", status=response.status)
    result = content.get("result")
    if content.get("success") is not True or not isinstance(result, list | None):
        raise UnexpectedContent("the response is not in the documented form: success, result", retryable=True)
    token, more = content.get("nextPageToken"), content.get("moreResult")
    return Envelope(
        result or [],
        str(token) if isinstance(token, str | int) and token else None,
        more if isinstance(more, bool) else None,
        structure_reasons(content.get("warnings")) or (),
    )


def done(response: ServiceResponse) -> None:
    """Check the response of an operation that returns nothing.

    Raises:
        PublitracError: the error in the response, or of a record that was skipped.
    """
    for item in _read_and_log(response).result:
        found = structure_result(item, None, ())
        if found.refused and found.error is not None:
            raise found.error


def one_lead(response: ServiceResponse) -> MarketoLead:
    """Return the lead of Get Lead by Id.

    Raises:
        LeadNotFound: the lead does not exist. Marketo's page does not show the response to an unknown id, so
            an empty result counts, and the codes "lead not found" and "no data found".
    """
    problem: int | str | None = None
    try:
        result = _read_and_log(response).result
    except NotFound as error:
        if error.code not in NO_LEAD:
            raise
        result, problem = [], error.code
    if not result:
        raise LeadNotFound("no lead has this id", status=response.status, code=problem)
    return structure_lead(result[0])


def page(response: ServiceResponse, item: Callable[[Any], T], *, first: bool) -> MarketoPage[T]:
    """Return one page.

    The page is the last one if `moreResult` is false or there is no token: operations send one or the other.
    An empty page need not be the last.

    Args:
        response: the response.
        item: reads an item.
        first: the page was requested without a token.

    Raises:
        UnexpectedContent: there are more pages, but no token.
        ApiError: the token has expired.
    """
    try:
        envelope = read(response)
    except NotFound as error:
        if not first and error.code == "702":
            raise ApiError(
                "nothing was found: the token of the page may have expired; start from the first page",
                status=error.status,
                code=error.code,
                problems=error.problems,
            ) from None
        raise
    if envelope.more_result and envelope.next_page_token is None:
        raise UnexpectedContent("the response announces another page, but has no token for it")
    token = None if envelope.more_result is False else envelope.next_page_token
    found, unread = structure_each(envelope.result, item)
    return MarketoPage(found, token, warnings=envelope.warnings, unread=unread)


def raw_page(response: ServiceResponse) -> MarketoPage[Any]:
    """Return one page with its items as JSON.

    Its token is kept even if `moreResult` is false: the token of activities serves for later ones.
    """
    envelope = read(response)
    if envelope.more_result and envelope.next_page_token is None:
        raise UnexpectedContent("the response announces another page, but has no token for it")
    return MarketoPage(
        tuple(envelope.result),
        envelope.next_page_token,
        warnings=envelope.warnings,
        last=envelope.more_result is False or envelope.next_page_token is None,
    )


def matches_too_many(error: ValidationError) -> bool:
    """Return True if more leads match a filter than Marketo returns (code 1003 has other meanings, too)."""
    texts = (problem.text or "" for problem in error.problems)
    return error.code == "1003" and any(_TOO_MANY.search(text) for text in texts)


def items(response: ServiceResponse, kind: type[T]) -> tuple[T, ...]:
    """Return all readable items of a result."""
    return structure_all(_read_and_log(response).result, kind)


def schema(response: ServiceResponse) -> LeadSchema:
    """Return the item of Describe Lead2."""
    result = _read_and_log(response).result
    if len(result) != 1:
        raise UnexpectedContent(f"the response has {len(result)} items where one is expected")
    return structure(result[0], LeadSchema)


def one_field(response: ServiceResponse) -> LeadField:
    """Return the field of Get Lead Field by Name.

    Raises:
        NotFound: the field does not exist.
    """
    problem: int | str | None = None
    try:
        result = _read_and_log(response).result
    except (ValidationError, NotFound) as error:
        if error.code not in NO_FIELD:
            raise
        result, problem = [], error.code
    if not result:
        raise NotFound("no field has this name", status=response.status, code=problem)
    return structure(result[0], LeadField)


def results(
    response: ServiceResponse,
    given: Sequence[Any],
    build: Callable[[Any, Any, tuple[Reason, ...]], T],
    *,
    match: Match = by_index,
) -> tuple[T, ...]:
    """Return the outcome of each record, in input order.

    Args:
        response: the response.
        given: the records, as given by the caller.
        build: makes a result of an item, a record and the warnings of the call.
        match: matches results to records.

    Raises:
        UnexpectedContent: results and records cannot be matched.
    """
    envelope = read(response)
    listed = match(envelope.result, given)
    return tuple(build(item, record, envelope.warnings) for item, record in zip(listed, given, strict=True))


def results_or_timeout(
    response: ServiceResponse,
    given: Sequence[Any],
    build: Callable[[Any, Any, tuple[Reason, ...]], T],
    *,
    match: Match = by_index,
) -> tuple[T, ...]:
    """Return the outcome of each record, as `results`; a call that took Marketo too long is not retryable."""
    try:
        return results(response, given, build, match=match)
    except PublitracError as error:
        if error.code == _TOO_LONG:
            error.retryable = False
        raise


def read_token(response: ServiceResponse) -> tuple[Secret, float]:
    """Return the token of Identity, and its remaining lifetime in seconds.

    Raises:
        PublitracError: the error in the response.
    """
    failure = error_for_status(response)
    content = _parse(response.body)
    token: Any = None if content is None else content.pop("access_token", None)
    code = None if content is None else content.get("error")
    if failure is None and token is None and code:
        failure = AuthenticationError("", status=response.status)
    errors = _errors(content)
    if failure is None and token is None and errors and content is not None:
        raise _refusal(errors, content, response, time.time())
    if failure is not None:
        failure.vendor_message = message_of_json(content)
        failure.code = code_of(code) or None
        if isinstance(failure, AuthenticationError):
            failure.args = ("Marketo's Identity refused client_id or client_secret",)
        raise failure
    life = 0.0 if content is None else _seconds(content.get("expires_in"))
    problem = None
    try:
        return Secret(cast("str", token), "token", header=True), max(life, MARKETO_TOKEN_LIFE)
    except ConfigurationError as error:
        problem = error.message
    raise UnexpectedContent(f"the token request returned no usable token: {problem}", retryable=True)


def _read_and_log(response: ServiceResponse) -> Envelope:
    """Return the content of a response. Log the codes of its warnings, which the result cannot hold."""
    envelope = read(response)
    if envelope.warnings:
        codes = joined((warning.code or "none" for warning in envelope.warnings), ", ")
        logger.info("Marketo sent %d warnings, codes %s", len(envelope.warnings), codes)
    return envelope


def _seconds(value: Any) -> float:
    """Return the seconds of a number or a text; 0 for anything else."""
    try:
        seconds = float(str(value))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        content = load_json(body)
    except orjson.JSONDecodeError:
        return None
    except OverBudget as error:
        problem = f"the JSON of the response was refused, {error}: request fewer fields or records"
        raise UnexpectedContent(problem) from None
    return content if isinstance(content, dict) else None


def _errors(content: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return code and text of each error. Codes are strings; a number is accepted, too."""
    listed = structure_reasons(content.get("errors")) if content is not None else None
    return [(code_of(each.code), each.message) for each in listed or ()]


def _refusal(
    errors: list[tuple[str, str]], content: dict[str, Any], response: ServiceResponse, now: float
) -> ApiError:
    """Return one error for a list: errors of credentials and of the daily quota take precedence."""
    ordered = sorted(
        errors, key=lambda each: not issubclass(meaning_of(*each).kind, AuthenticationError | QuotaExhausted)
    )
    problems = [problem for code, text in ordered for problem in problems_of(code, text)]
    return make_error(
        meaning_of(*ordered[0]),
        now=now,
        reason=text_of(problems) + _request(content),
        code=ordered[0][0] or None,
        status=response.status,
        problems=problems,
        vendor_message=message_of_json(content),
    )


def _status_error(response: ServiceResponse, now: float) -> PublitracError | None:
    meaning = STATUSES.get(response.status)
    if meaning is not None:
        return make_error(meaning, now=now, status=response.status)
    return error_for_status(response)


def _request(content: dict[str, Any]) -> str:
    number = content.get("requestId")
    return f" (request {number})" if isinstance(number, str) and _REQUEST_ID.fullmatch(number) else ""
