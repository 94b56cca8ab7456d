"""Call of a v1 method: account, parameters and document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from attrs import frozen

from publitrac_async.sandbox.publitrac.account import PublitracAccount
from publitrac_async.sandbox.publitrac.fields import CUSTOM_FIELDS, FIELD_BY_NAME
from publitrac_async.sandbox.publitrac.validation import LeadInput
from publitrac_async.sandbox.publitrac_v1.parameters import Parameters, text
from publitrac_async.sandbox.publitrac_v1.responses import (
    Envelope,
    FailedError,
    invalid_xml,
)
from publitrac_async.sandbox.settings import SandboxSettings
from publitrac_async.sandbox.xml import Element, Node


@frozen
class MethodCall:
    """One call of a v1 method, credentials already checked."""

    account: PublitracAccount
    settings: SandboxSettings
    parameters: Parameters
    document: Node | None
    """The XML in `query`; None if there is none or it cannot be read."""

    def text(self, *names: str) -> str:
        """Return the first parameter present, or an empty text."""
        return text(self.parameters, *names)

    def annex(self, names: AbstractSet[str], *paths: tuple[str, ...]) -> str:
        """Return a value of a method that only the annex of the documents names, or an empty text.

        Args:
            names: the names of the parameter.
            paths: paths of element names below `<request>`, at which the XML may have the value.
        """
        place = self.settings.annex_place
        if place != "xml" and (sent := self.text(*sorted(names))):
            return sent
        if place == "parameters" or self.document is None:
            return ""
        return next((found for path in paths if (found := self.document.value(*path))), "")

    def request(self) -> Node:
        """Return the `<request>` element.

        Raises:
            FailedError: 9011, if the document is missing, not well-formed, or has another root.
        """
        if self.document is None or self.document.name != "request":
            raise invalid_xml()
        return self.document

    def failed(self, message: str, errors: list[str]) -> FailedError:
        """Return the failure of a method for which the documents name no status."""
        return FailedError(self.settings.failure_status, message, errors)

    def page_number(self) -> int:
        """Return the requested page number; 1 if the parameter is not a page number."""
        sent = self.text("page")
        return max(int(sent), 1) if sent.isascii() and sent.isdigit() and len(sent) < 10 else 1


Method = Callable[[MethodCall], Envelope]
Methods = Mapping[str, tuple[str, Method]]
"""Method name -> the verb that its page lists (empty without one) and its function."""


def lead_input(node: Node, options: AbstractSet[str] = frozenset()) -> LeadInput:
    """Read a `<lead>` element. Read-only fields are ignored, unknown ones are listed separately.

    Args:
        node: the element.
        options: names that are options of the method, not fields.
    """
    values: dict[str, str] = {}
    custom: dict[str, str] = {}
    unknown: list[str] = []
    for child in node.children:
        if child.name == CUSTOM_FIELDS:
            custom |= {entry.name: entry.text for entry in child.children}
        elif child.name in options:
            continue
        elif child.name not in FIELD_BY_NAME:
            unknown.append(child.name)
        elif FIELD_BY_NAME[child.name].writable:
            values[child.name] = child.text
    return LeadInput(values, custom, tuple(unknown))


def paging(page: str, *, items: int, offset: int, total: int) -> Element:
    """Return the `<paging>` element: `offset` is the size of a page."""
    return Element(
        "paging",
        [
            Element("page", page),
            Element("items", str(items)),
            Element("offset", str(offset)),
            Element("total", str(total)),
        ],
    )


def shown_page(call: MethodCall, *, total: int, size: int) -> int:
    """Return the number of the page to show; the requested one may be after the last one.

    Args:
        call: the call.
        total: the number of records.
        size: the number of records on a page.

    Raises:
        FailedError: the requested page does not exist, and `page_past_end` is `error`.
    """
    asked, last = call.page_number(), max(-(-total // size), 1)
    past_end = call.settings.page_past_end
    if asked <= last or past_end == "empty":
        return asked
    if past_end == "error":
        raise call.failed("The page does not exist.", [f"Page ({asked}) does not exist."])
    return last if past_end == "last" else 1
