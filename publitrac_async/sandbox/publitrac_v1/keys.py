"""The business key of a v1 call, for the journal."""

from __future__ import annotations

from collections.abc import Iterator

from publitrac_async.sandbox.publitrac_v1.parameters import Parameters, text
from publitrac_async.sandbox.xml import Node

_NAMES = ("email", "externalId", "tokenId", "viewName", "listName")


def business_key(sent: Parameters, document: Node | None) -> str | None:
    """Return the business key of a call.

    Args:
        sent: the parameters.
        document: the XML in `query`, if it could be read.

    Returns:
        The e-mails of the leads, joined by commas; otherwise the requested id or name; otherwise None.
    """
    if value := text(sent, *_NAMES):
        return value
    if document is None:
        return None
    return ",".join(_emails(document)) or document.value("opportunity", "id") or None


def _emails(request: Node) -> Iterator[str]:
    leads = [*request.all("lead")]
    for group in request.all("leads"):
        leads += group.all("lead")
    return (email for lead in leads if (email := lead.value("email")))
