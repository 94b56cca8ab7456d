"""From an element of a page straight to a lead: pages of leads are what is read most."""

from __future__ import annotations

from typing import Any, Final
from xml.etree import ElementTree as ET

from publitrac_async.config import MAX_NAME
from publitrac_async.converters import native_hooks
from publitrac_async.models import Lead

_WHITE_SPACE: Final = " \t\r\n"


def lead_of_element(container: str, element: ET.Element) -> Lead | None:
    """The lead of an element of an answer, the same that `lead_from_wire` makes of its content.

    Args:
        container: name of the element around it.
        element: as the parser left it.

    Returns:
        ``None`` for all but a lead with plain fields, each of them once: the way by its content is open to
        the others, and finds out what is wrong with them.
    """
    if container != "leads" or element.tag != "lead" or any(map(len, element)):
        return None
    native: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    unparsed: dict[str, str] = {}
    hooks = native_hooks()
    for child in element:
        name, text = child.tag, child.text
        text = text.strip(_WHITE_SPACE) if text else ""
        known = hooks.get(name)
        if known is None:
            if len(name) > MAX_NAME:
                return None
            custom[name] = text
            continue
        attribute, hook = known
        if hook is None:
            native[attribute] = text
        elif not text:
            native[attribute] = None
        else:
            try:
                native[attribute] = hook(text, None)
            except (ValueError, TypeError):
                native[attribute] = None
                unparsed[name] = text
    fields = len(native) + len(custom)
    if not fields or fields != len(element):
        return None
    return Lead(**native, custom_fields=custom, unparsed=unparsed)
