"""Read responses of Vitec: the lead's id, or an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from publitrac_async.errors import Problem, PublitracError, UnexpectedContent, ValidationError
from publitrac_async.transport.classify import error_for_status, is_html, wrong_address
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.vendor_messages import joined, shortened
from publitrac_async.transport.xml import MalformedXml, read_document

#: Limit in bytes; ids and errors are shorter.
MAX_RESPONSE: Final = 64 * 1024
#: Limit on the nested levels of an error to read.
_DEPTH: Final = 8
_BOM: Final = b"\xef\xbb\xbf"

#: Members of an error with its list of fields: ASP.NET's names, in any case.
_FIELDS: Final = frozenset({"modelstate", "errors"})
_MESSAGE: Final = frozenset({"message", "messagedetail", "title", "detail", "error"})
#: Members that are not about a field, or may quote the person or internals of the service.
_OTHER: Final = frozenset({"exceptionmessage", "exceptiontype", "stacktrace", "type", "status", "traceid"})

#: An id, whose form Vitec does not document. A sentence about an error has no digit.
_ID: Final = re.compile(r"(?=.*\d)[^\x00-\x1f\x7f<>]{1,100}")
#: .NET's escape of a character that XML names cannot contain (`XmlConvert.EncodeLocalName`).
_ENCODED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NAME: Final = re.compile(r"[\w.\[\]]+")
_PARTS: Final = frozenset({"person", "receiver", "leadsource", "marketing", "message"})

#: Error messages published on Vitec's page.
_REASONS: Final = {
    "en kontaktperson måste anges": "a contact person is required",
    "en leadskälla måste anges": "a lead source is required",
    "om en mottagare anges måste antingen handläggare, användargrupp eller kontor specificeras": (
        "must have exactly one of agent, user group and office"
    ),
}
_REFUSED: Final = "refused by the service"
_ADVICE: Final = {
    401: "user name or password is wrong",
    403: "the password is not valid for this customer or function group",
    404: "this address does not exist: check base_url and the customer id",
}


def read_lead_id(response: ServiceResponse) -> str:
    """Read the id of the created lead: a bare JSON string, or a ``<string>`` element.

    The lead exists once the status is 2xx, so an unreadable response may have been applied.

    Raises:
        PublitracError: the error in the response.
    """
    failure = error_for_status(response)
    if failure is not None:
        raise _explained(failure, response)
    words = None
    if is_html(response):
        problem = "the service sent a web page instead of the lead's id"
    elif len(response.body) > MAX_RESPONSE:
        problem = f"the response is larger than {MAX_RESPONSE} bytes, so it is not a lead's id"
    else:
        name, content = _document(response.body)
        if isinstance(content, int):  # True is no id: it has no digit.
            content = str(content)
        if isinstance(content, str) and name in (None, "string") and _ID.fullmatch(content.strip()):
            return content.strip()
        words = shortened(*_texts(content))
        problem = "the response has no lead id"
    raise UnexpectedContent(problem, status=response.status, maybe_applied=True, vendor_message=words)


def _explained(failure: PublitracError, response: ServiceResponse) -> PublitracError:
    """Return `failure` with the service's messages about fields (400), or with advice.

    The body of a 5xx is not read: it may hold a stack trace.
    """
    if is_html(response):
        if (wrong := wrong_address(response)) is not None:
            return wrong
        failure.args = (f"{failure.message} with a web page: a proxy may have responded in its place",)
    elif isinstance(failure, ValidationError) and len(response.body) <= MAX_RESPONSE:
        content = _content(response.body)
        if content is None:
            content = response.body.decode("utf-8", "replace")
        problems = tuple(dict.fromkeys(_problems(content)))
        if problems:
            failure.problems = problems
            failure.args = (joined(map(str, problems)),)
    elif (advice := _ADVICE.get(response.status)) is not None:
        failure.args = (f"{failure.message}: {advice}",)
    return failure


def _content(body: bytes) -> Any:
    return _document(body)[1]


def _document(body: bytes) -> tuple[str | None, Any]:
    """Read a body of JSON or XML, regardless of its content type.

    Returns:
        The name of the root element, ``None`` for JSON; and the content, ``None`` if it is neither.
    """
    text = body.removeprefix(_BOM).strip()
    if text.startswith(b"<") or body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return read_document(body)
        except MalformedXml:
            return None, None
    try:
        return None, orjson.loads(text)
    except orjson.JSONDecodeError:
        return None, None


def _problems(content: Any) -> Iterator[Problem]:
    """Yield the problems in an error by field; its general message only if it names no field."""
    if not isinstance(content, Mapping):
        yield from (_problem(text, None) for text in _texts(content))
        return
    named = {str(name).lower(): (str(name), value) for name, value in content.items()}
    fields = [value for name, (_, value) in named.items() if name in _FIELDS and value]
    if not fields:
        fields = [
            {name: value for key, (name, value) in named.items() if key not in _MESSAGE | _OTHER | _FIELDS}
        ]
    found = [problem for part in fields for problem in _field_problems(part)]
    yield from found
    if not found:
        messages = (value for name, (_, value) in named.items() if name in _MESSAGE)
        yield from (_problem(text, None) for value in messages for text in _texts(value))


def _field_problems(part: Any) -> Iterator[Problem]:
    if not isinstance(part, Mapping):
        yield from (_problem(text, None) for text in _texts(part))
        return
    for name, value in part.items():
        yield from (_problem(text, _field(str(name))) for text in _texts(value))


def _texts(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yield every text in `value`: one, a list of them, or those of its elements and members."""
    if not depth:
        return
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if str(name).lower() not in _OTHER:
                yield from _texts(item, depth - 1)


def _problem(text: str, field: str | None) -> Problem:
    reason = _REASONS.get(text.rstrip(" .!").lower(), _REFUSED)
    return Problem(reason, field=field, text=text)


def _field(name: str) -> str | None:
    """Return the field's path in the vendor's JSON names, without the leading name of the parameter."""
    name = _ENCODED.sub(lambda match: chr(int(match[1], 16)), name)
    if not _NAME.fullmatch(name):
        return None
    segments = [segment[:1].lower() + segment[1:] for segment in name.split(".") if segment]
    for index, segment in enumerate(segments):
        if segment.lower() in _PARTS:
            return ".".join(segments[index:])
    return ".".join(segments) or None
