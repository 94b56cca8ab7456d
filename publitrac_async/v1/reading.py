"""Reads the XML of an answer: hardened, and tolerant only where the vendor's samples need it.

A document becomes nested dicts: an element with children is a dict, one without is its text, repeated
siblings are a list. Text is stripped: the samples have line breaks and spaces where none belong.
`children` reads it without caring whether there are none, one or many.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from xml.etree import ElementTree as ET

from publitrac_async.errors import UnexpectedContent
from publitrac_async.pagination import Page
from publitrac_async.transport.steps import Steps, at_once
from publitrac_async.transport.xml import Convert, Malformed, Node, in_utf8, parse_in_steps, where

T = TypeVar("T")

#: Elements of a response beside its records.
ENVELOPE: Final = frozenset({"status", "message", "errors", "error", "paging"})

_CLOSE: Final = b"</response>"
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


def read_response(body: bytes, *, framed: bool) -> dict[str, Any]:
    """The children of `<response>`.

    One defect is mended: the closing tag of the root is missing, as in the vendor's sample of getList, and
    everything else is there. That is done only where the end of the body was announced, so that a cut
    answer can never pass for a whole one.

    Args:
        body: the answer.
        framed: the end of the body was announced (length or chunks).

    Raises:
        UnexpectedContent: not XML, cut, mis-nested, hostile, too deep, in an unknown or broken encoding,
            or without `<response>`.
    """
    return at_once(read_in_steps(body, framed=framed))


def read_in_steps(body: bytes, *, framed: bool, convert: Convert | None = None) -> Steps[dict[str, Any]]:
    """The same in steps; `convert` is that of `publitrac_async.transport.xml`."""
    cut = False
    try:
        name, content = yield from _mended(in_utf8(body), convert, framed=framed)
        if name == "response" and isinstance(content, dict):
            return content
        problem = "the answer is XML without <response> and its content"
    except ET.ParseError as error:
        cut = True  # ... for all we know, and then it may be whole the next time.
        problem = f"the answer is not well-formed XML: {where(error)}"
    except Malformed as error:
        problem = f"the answer is XML that is not accepted: {error}"
    except (UnicodeError, LookupError):
        problem = "the answer's bytes do not fit the encoding it declares"
    raise UnexpectedContent(problem, retryable=cut)


def _mended(document: bytes, convert: Convert | None, *, framed: bool) -> Steps[tuple[str, Node]]:
    try:
        return (yield from parse_in_steps(document, convert))
    except ET.ParseError:
        if not framed or not document.rstrip().endswith(b">"):
            raise
        try:
            name, content = yield from parse_in_steps(document + _CLOSE, convert)
        except ET.ParseError:
            name, content = "", ""
        if "status" not in content or isinstance(content, str):
            raise  # What failed first says more.
        return name, content


def children(node: Node | None, name: str) -> list[Any]:
    """All children of that name, none, one or many."""
    if not isinstance(node, dict):
        return []
    value = node.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text_of(node: Node | None, name: str) -> str:
    """The stripped text of the first child of that name, ``""`` without one."""
    found = children(node, name)
    return found[0].strip() if found and isinstance(found[0], str) else ""


def number_of(node: Node | None, name: str) -> int | None:
    """The first child of that name as an integer, ``None`` if it is none."""
    text = text_of(node, name)
    return int(text) if _NUMBER.fullmatch(text) else None


def records_of(content: dict[str, Any], container: str, name: str, *, page: int) -> list[Any]:
    """Find the records of a successful response.

    "There is none" is believed only of a response that says so: a total of 0, or an empty element where the
    records would be and no total that contradicts it.

    Args:
        content: children of `<response>`.
        container: name of the element around the records.
        name: name of a record.
        page: the number that was asked for.

    Raises:
        UnexpectedContent: the response says nothing of records, or announces some that are not in it.
    """
    places = children(content, container)
    # An empty record stands for none.
    records = [record for place in places for record in children(place, name) if record != ""]
    if any(isinstance(record, str) for record in records):
        raise UnexpectedContent(f"a <{name}> holds text in place of fields")
    if records:
        return records
    paging = next(iter(children(content, "paging")), None)
    items, size, total = (number_of(paging, field) for field in ("items", "offset", "total"))
    if items or (total and (page - 1) * (size or 0) < total):
        raise UnexpectedContent(f"the response announces records, but has no <{name}>")
    if any(place and (isinstance(place, str) or name not in place) for place in places):
        raise UnexpectedContent(f"<{container}> holds something else than <{name}>")
    if not places and total != 0:
        raise UnexpectedContent(f"the response has no <{container}>")
    return []


def page_of(content: dict[str, Any], items: Sequence[T], page: int) -> Page[T]:
    """A page with what `<paging>` says of it; "offset" is the size of a full page.

    Args:
        content: children of `<response>`.
        items: what is on the page.
        page: the number that was asked for, for answers without paging.
    """
    paging = next(iter(children(content, "paging")), None)
    number = number_of(paging, "page")
    size, total = number_of(paging, "offset"), number_of(paging, "total")
    return Page(tuple(items), page if number is None else number, size, total)
