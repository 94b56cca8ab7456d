"""From an element of a page straight to a lead: pages of leads are what is read most."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET

from attrs import frozen

from publitrac_async.converters import native_hooks
from publitrac_async.models import UNSET, Lead
from publitrac_async.transport.budget import BUDGET

_WHITE_SPACE: Final = " \t\r\n"

Hook: TypeAlias = Callable[[Any, Any], Any]


@frozen
class _Fields:
    """What is prepared once, when the first lead is read.

    Attributes:
        by_name: place and hook of each native field, by the vendor's name.
        unset: a lead's native values before anything is known of them.
        make: a lead from its native values, custom fields and what could not be parsed.
    """

    by_name: Mapping[str, tuple[int, Hook | None]]
    unset: list[Any]
    make: Callable[[list[Any], dict[str, Any], dict[str, str]], Lead]


def lead_of_element(container: str, element: ET.Element) -> Lead | None:
    """The lead of an element of an answer, the same that `lead_from_wire` makes of its content.

    Args:
        container: name of the element around it.
        element: as the parser left it.

    Returns:
        ``None`` for all but a lead with plain fields, each of them once: the way by its content is open to
        the others, and finds out what is wrong with them.
    """
    if container != "leads" or element.tag != "lead" or not len(element) or any(map(len, element)):
        return None
    fields = _fields()
    by_name, values = fields.by_name, fields.unset.copy()
    custom: dict[str, Any] = {}
    unparsed: dict[str, str] = {}
    for child in element:
        name, text = child.tag, child.text
        text = text.strip(_WHITE_SPACE) if text else ""
        known = by_name.get(name)
        if known is None:
            if name in custom or len(name) > BUDGET.name:
                return None
            custom[name] = text
            continue
        place, hook = known
        if values[place] is not UNSET:
            return None
        if hook is None:
            values[place] = text
        elif not text:
            values[place] = None
        else:
            try:
                values[place] = hook(text, None)
            except (ValueError, TypeError):
                values[place] = None
                unparsed[name] = text
    return fields.make(values, custom, unparsed)


@functools.cache
def _fields() -> _Fields:
    hooks = native_hooks()
    by_name = {name: (place, hook) for place, (name, (_, hook)) in enumerate(hooks.items())}
    # The same assignments to slots that attrs generates, without the constructor's 46 keywords around them,
    # with which CPython 3.11 takes three times as long.
    targets = ", ".join(f"lead.{attribute}" for attribute, _ in hooks.values())
    source = (
        "def make(values, custom_fields, unparsed):\n"
        "    lead = new(Lead)\n"
        f"    {targets} = values\n"
        "    lead.custom_fields, lead.unparsed = custom_fields, unparsed\n"
        "    return lead\n"
    )
    scope: dict[str, Any] = {"Lead": Lead, "new": object.__new__}
    exec(source, scope)  # noqa: S102  (its only variable part are the names of our own class)
    return _Fields(by_name, [UNSET] * len(hooks), scope["make"])
