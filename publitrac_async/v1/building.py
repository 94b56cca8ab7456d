"""Build requests: the parameters of a method, and the XML in `query`.

The modules of the subjects make its content: `lead_element` in `v1/leads.py` that of a lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from typing import Any, Generic, TypeVar

import xmltodict
from attrs import field, frozen

from publitrac_async.checks import not_sendable, refuse
from publitrac_async.errors import Problem
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.operations import Method

T = TypeVar("T")


@frozen
class Request(Generic[T]):
    """Call of a method, without credentials.

    Attributes:
        method: row of the table.
        parameters: parameters of the method, in the order in which they are sent.
        parse: converts the response to the result, directly or in steps, or raises its error.
    """

    method: Method
    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    parse: Callable[[ServiceResponse], T | Steps[T]] = field(repr=False)


def request(
    method: Method,
    parse: Callable[[ServiceResponse], T | Steps[T]],
    parameters: Mapping[str, Any] | None = None,
    document: Mapping[str, Any] | None = None,
) -> Request[T]:
    """Build a request from parameters and, if given, a document.

    Raises:
        ValidationError: a text has characters that cannot be sent.
    """
    sent = dict(parameters or {})
    refuse([problem for name, text in sent.items() if (problem := text_problem(name, text))], method.name)
    if document is not None:
        sent["query"] = to_xml(document, method.name)
    return Request(method, tuple(sent.items()), parse)


def to_xml(content: Mapping[str, Any], operation: str | None = None) -> str:
    """Return a `<request>` document with this content.

    Text may contain all characters of XML 1.0. The callers in this package have checked the names.

    Raises:
        ValidationError: a text has control characters or lone surrogates.
    """
    document: str = xmltodict.unparse({"request": content}, short_empty_elements=False)
    if not_sendable(document):
        refuse(_unsendable(content), operation)
    # A bare carriage return would be read back as a line feed (XML 1.0, 2.11).
    return document.replace("\r", "&#13;")


def text_problem(name: str, text: object) -> Problem | None:
    """Return the problem of a text that cannot be sent, ``None`` if it can."""
    if isinstance(text, str) and not not_sendable(text):
        return None
    return Problem("must be text without control characters", field=name, value=text)


def text_of_number(value: object) -> object:
    """Return an integer as text, and other values unchanged for the checks: ``None`` is not ``"None"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def mandatory(parameters: Mapping[str, object], codes: Mapping[str, int] | None = None) -> list[Problem]:
    """Report parameters that are missing or blank.

    Args:
        parameters: texts or lists by the vendor's name.
        codes: their codes in the annex.
    """
    return [
        Problem("is required", code=(codes or {}).get(name), field=name)
        for name, value in parameters.items()
        if not (value.strip() if isinstance(value, str) else value or value == 0)
    ]


def too_long(method: Method, values: Mapping[str, object]) -> list[Problem]:
    """Report parameters that exceed a limit of the method."""
    problems = []
    for name, value in values.items():
        limit = method.limits.get(name)
        if limit is None or not isinstance(value, Sized) or len(value) <= limit:
            continue
        kind = "characters" if isinstance(value, str) else "items"
        problems.append(Problem(f"at most {limit} {kind}, not {len(value)}", field=name, value=value))
    return problems


def _unsendable(content: Any, name: str = "") -> list[Problem]:
    if isinstance(content, Mapping):
        return [problem for key, value in content.items() for problem in _unsendable(value, key)]
    if isinstance(content, (list, tuple)):
        return [problem for value in content for problem in _unsendable(value, name)]
    problem = text_problem(name, content) if isinstance(content, str) else None
    return [problem] if problem else []
