"""The content of a call without its credentials, and its document as Python values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import field, frozen

from publitrac_async.sandbox.xml import InvalidXmlError, Node, parse


@frozen
class Content:
    """The content of a call as it was sent, without credentials.

    Attributes:
        body: the document, JSON or XML.
        parameters: parameters besides the document, percent-decoded.
    """

    body: bytes = field(default=b"", repr=False)
    parameters: Mapping[str, str] = field(factory=dict, repr=False)

    def document(self) -> Any:
        """Return the document as Python values.

        Returns:
            JSON unchanged. XML as the dict of the root element: texts, dicts for elements with children,
            lists for repeated names. None if there is no document or it cannot be read.
        """
        start = self.body.lstrip()[:1]
        try:
            if start == b"<":
                return _value(parse(self.body))
            return json.loads(self.body, parse_constant=_refuse_constant) if start else None
        except (ValueError, RecursionError, InvalidXmlError):
            return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _value(node: Node) -> Any:
    if not node.children:
        return node.text
    grouped: dict[str, list[Any]] = {}
    for child in node.children:
        grouped.setdefault(child.name, []).append(_value(child))
    return {name: values if len(values) > 1 else values[0] for name, values in grouped.items()}
