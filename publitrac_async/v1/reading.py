"""Read the XML of a response: strictly first, then with logged repairs.

A document becomes nested dicts: an element with children becomes a dict, one without children its text, and
repeated siblings become a list; `children` returns a list in any case. Text is stripped: the samples have
stray line breaks and spaces.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from xml.etree import ElementTree as ET

from attrs import field, frozen

from publitrac_async.errors import UnexpectedContent
from publitrac_async.pagination import Page
from publitrac_async.transport.budget import OverBudget
from publitrac_async.transport.decoding import to_utf8
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.repair import repair
from publitrac_async.transport.steps import Steps
from publitrac_async.transport.vendor_messages import message_of_text, text_of_markup
from publitrac_async.transport.xml import Convert, MalformedXml, Node, describe_error, parse_xml

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async")

#: Elements of a response besides its records.
ENVELOPE: Final = frozenset({"status", "message", "errors", "error", "paging"})

_ROOT: Final = "response"
_CLOSE: Final = b"</response>"
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


@frozen
class Content:
    """Content of a response.

    Attributes:
        children: of `<response>`.
        repaired: number of repairs by kind; see `publitrac_async.transport.repair`.
    """

    children: dict[str, Any]
    repaired: Mapping[str, int] = field(factory=dict)


def read_response(response: ServiceResponse, convert: Convert | None = None) -> Steps[Content]:
    """Read the children of `<response>`, in steps.

    Strict parsing is tried first. In the vendor's sample of getList the closing tag of the root is missing:
    it is added if the length of the body was announced, so that a truncated response is never taken for a
    complete one. Finally invalid characters are repaired, unless `response.repair` is false.

    Args:
        response: the response.
        convert: as in `publitrac_async.transport.xml`.

    Raises:
        UnexpectedContent: not XML, truncated, mis-nested, over the budget, in an unknown or wrong encoding,
            or without `<response>`.
    """
    body = response.body
    if not body.strip():
        # Without a length, the connection may have closed too early.
        raise UnexpectedContent(f"the response is empty ({len(body)} bytes)", retryable=not response.framed)
    try:
        document = to_utf8(body, response.content_type)
        content = yield from _parsed(document, convert, framed=response.framed)
    except (ET.ParseError, UnicodeError) as error:
        repaired = yield from _repaired(response, convert)
        if repaired is None:
            raise _unreadable(error, response) from None
        return repaired
    except LookupError:
        raise UnexpectedContent("the response declares an unknown encoding") from None
    except (MalformedXml, OverBudget) as error:
        raise UnexpectedContent(f"the XML of the response was refused: {error}") from None
    return content


def _parsed(document: bytes, convert: Convert | None, *, framed: bool) -> Steps[Content]:
    try:
        name, content = yield from parse_xml(document, convert)
    except ET.ParseError:
        if not framed or not document.rstrip().endswith(b">"):
            raise
        try:
            name, content = yield from parse_xml(document + _CLOSE, convert)
        except ET.ParseError:
            name, content = "", ""
        if "status" not in content or isinstance(content, str):
            raise  # The first error is more informative.
    return Content(_children_of_root(name, content))


def _repaired(response: ServiceResponse, convert: Convert | None) -> Steps[Content | None]:
    if not (response.framed and response.repair):
        return None
    try:
        body = to_utf8(response.body, response.content_type)
    except UnicodeError:
        body = response.body
    found = repair(body, _ROOT)
    if found is None:
        return None
    document, counts = found
    try:
        name, content = yield from parse_xml(document, convert)
    except (ET.ParseError, MalformedXml, OverBudget):
        return None
    logger.warning(
        "a response was not well-formed and was repaired: %s",
        ", ".join(f"{kind} {count}" for kind, count in counts.items()),
    )
    return Content(_children_of_root(name, content), counts)


def _children_of_root(name: str, content: Node) -> dict[str, Any]:
    if name != _ROOT:
        raise UnexpectedContent("the response is XML, but its root is not <response>")
    if isinstance(content, str):
        raise UnexpectedContent(
            "the <response> is empty" if content == "" else "the <response> has only text"
        )
    return content


def _unreadable(error: ET.ParseError | UnicodeError, response: ServiceResponse) -> UnexpectedContent:
    """Return the error for a body that is not XML, with its text if short."""
    start = response.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"<"):
        return UnexpectedContent(
            "the response is text, not XML", vendor_message=message_of_text(response.body)
        )
    problem = (
        describe_error(error)
        if isinstance(error, ET.ParseError)
        else "its bytes are not in the encoding that it declares"
    )
    if response.framed and b"<response" not in start:
        return UnexpectedContent("the response has no <response>", vendor_message=text_of_markup(start))
    # A truncated document may be complete after a retry; a complete one would have the same defect.
    cut = not response.framed or _CLOSE not in start
    return UnexpectedContent(f"the response is not well-formed XML: {problem}", retryable=cut)


def children(node: Node | None, name: str) -> list[Any]:
    """Return all children of that name: an empty list without one."""
    if not isinstance(node, dict):
        return []
    value = node.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_of(node: Node | None, name: str) -> str:
    """Return the stripped text of the first child of that name, ``""`` without one."""
    found = children(node, name)
    return found[0].strip() if found and isinstance(found[0], str) else ""


def number_of(node: Node | None, name: str) -> int | None:
    """Return the first child of that name as an integer, ``None`` without one."""
    text = text_of(node, name)
    return int(text) if _NUMBER.fullmatch(text) else None


def records_of(content: dict[str, Any], container: str, name: str, *, page: int) -> list[Any]:
    """Return the records of a successful response.

    A response without records is accepted only if it states that there are none: by a total of 0, or by an
    empty element instead of the records and no total that contradicts it.

    Args:
        content: children of `<response>`.
        container: name of the element around the records.
        name: name of a record.
        page: the requested number.

    Raises:
        UnexpectedContent: the response does not mention records, or announces some that it does not contain.
    """
    places = children(content, container)
    records = [record for place in places for record in children(place, name)]
    texts = [record for record in records if isinstance(record, str)]
    if any(texts):
        raise UnexpectedContent(f"a <{name}> has text instead of fields")
    if texts:  # An empty record means no record.
        records = [record for record in records if not isinstance(record, str)]
    if records:
        return records
    paging = next(iter(children(content, "paging")), None)
    items, size, total = (number_of(paging, field) for field in ("items", "offset", "total"))
    if items or (total and (page - 1) * (size or 0) < total):
        raise UnexpectedContent(f"the response announces records, but has no <{name}>")
    if any(place and (isinstance(place, str) or name not in place) for place in places):
        raise UnexpectedContent(f"<{container}> has other elements than <{name}>")
    if not places and total != 0:
        raise UnexpectedContent(f"the response has no <{container}>")
    return []


def page_of(content: Content, items: Sequence[T], page: int) -> Page[T]:
    """Make a page from records and `<paging>`, whose "offset" is the size of a full page.

    Args:
        content: content of the response.
        items: the records on the page.
        page: the requested number, for responses without paging.
    """
    paging = next(iter(children(content.children, "paging")), None)
    number = number_of(paging, "page")
    size, total = number_of(paging, "offset"), number_of(paging, "total")
    return Page(tuple(items), page if number is None else number, size, total, repaired=content.repaired)
