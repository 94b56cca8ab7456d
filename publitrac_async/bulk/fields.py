"""Values of a row by field."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

#: Value of a cell that clears its field.
CLEARED: Final = object()


class Fields(dict[str, Any]):
    """Values of a row by field, by the vendor's name.

    Attributes:
        cleared: fields to clear.
        notes: column and kind of damage of cells that look damaged.
        withheld: flags of consent that say "no" and are not sent.
        mapped: the names are those of a mapping; false for a sink's own columns.
        both_ways: flags of consent of which a "no" is sent, too.
        checked: address and names of custom fields are valid.
    """

    __slots__ = ("both_ways", "checked", "cleared", "mapped", "notes", "withheld")

    def __init__(self, values: Mapping[str, Any] = MappingProxyType({})) -> None:
        super().__init__(values)
        # Most rows need none of these: no list is made for each.
        self.cleared: frozenset[str] = frozenset()
        self.notes: tuple[tuple[str, str], ...] = ()
        self.withheld: tuple[str, ...] = ()
        self.mapped: bool = False
        self.checked: bool = False
        self.both_ways: frozenset[str] = frozenset()

    def put(self, field: str, value: Any, *, one_way: bool) -> None:
        """Set a field, note that it is to be cleared, or withhold a flag of consent that says "no"."""
        if value is CLEARED:
            self.cleared |= {field}
        elif one_way and value in (False, 0):
            self.withheld += (field,)
        else:
            self[field] = value
