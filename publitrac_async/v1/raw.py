"""Call any method by name, including undocumented ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from publitrac_async.checks import refuse
from publitrac_async.errors import Problem
from publitrac_async.transport.classify import error_for_status
from publitrac_async.transport.operation import OperationClass, ServiceResponse
from publitrac_async.transport.steps import Steps
from publitrac_async.v1.building import Request, request, text_of_number
from publitrac_async.v1.operations import METHODS, method
from publitrac_async.v1.responses import read_reply

T = TypeVar("T")

#: Elements that may repeat. They are always lists, so that programs treat one and many alike.
_REPEATED: Final = frozenset({"lead", "campaign", "opportunity", "error"})


def call(
    name: str,
    parameters: Mapping[str, Any] | None,
    xml: str | None,
    parse: Callable[[ServiceResponse], T | Steps[T]],
    *,
    verb: Literal["GET", "POST"] | None,
    idempotent: bool,
) -> Request[T]:
    """Build the request of any method, with `content_of` or `body_of` to read its response."""
    if not (name.isascii() and name.isalnum()):
        refuse([Problem("must have letters and digits only", field="method", value=name)], None)
    if verb not in (None, "GET", "POST"):
        refuse([Problem("must be GET or POST", field="verb", value=verb)], name)
    if xml is not None and "query" in (parameters or {}):
        refuse([Problem("is the parameter that xml is sent in: leave out one of them", field="query")], name)
    known = METHODS.get(name)
    if verb is None:
        verb = "POST" if xml is not None or (known is not None and known.verb == "POST") else "GET"
    if known is not None:
        kind = known.operation_class
    else:
        kind = OperationClass.READ if name.startswith("get") else OperationClass.APPEND
    if idempotent and kind is OperationClass.APPEND:
        kind = OperationClass.UPSERT
    sent = {key: text_of_number(value) for key, value in (parameters or {}).items()}
    if xml is not None:
        sent["query"] = xml
    return request(method(name, verb, kind), parse, sent)


def body_of(response: ServiceResponse) -> bytes:
    """Return the body of a response, unless its HTTP status is an error."""
    failure = error_for_status(response)
    if failure is not None:
        raise failure
    return response.body


def content_of(response: ServiceResponse) -> Steps[dict[str, Any]]:
    """Return the children of `<response>`; elements that may repeat are always lists."""
    reply = yield from read_reply(response)
    content = reply.content.children
    _make_lists(content)
    return content


def _make_lists(node: Any) -> None:
    if isinstance(node, list):
        for child in node:
            _make_lists(child)
    elif isinstance(node, dict):
        for name, value in node.items():
            if not isinstance(value, str):
                _make_lists(value)
            if name in _REPEATED and not isinstance(value, list):
                node[name] = [value]
