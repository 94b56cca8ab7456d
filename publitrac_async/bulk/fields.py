"""Values of a row by field."""

from __future__ import annotations

from typing import Any, Final

#: Value of a cell that clears its field.
CLEARED: Final = object()


class Fields(dict[str, Any]):
    """Values of a row by field, by the vendor's name.

    Attributes:
        cleared: fields to clear.
        notes: column and kind of damage of cells that look damaged.
        withheld: consent flags that are not sent because their value is "no".
        mapped: true if the names come from a mapping; false for a sink's own columns.
        both_ways: consent flags that are sent for "no" as well as for "yes".
        checked: true if the address and the names of custom fields are known to be valid.
    """

    # Class attributes: most rows need none of them.
    cleared: frozenset[str] = frozenset()
    notes: tuple[tuple[str, str], ...] = ()
    withheld: tuple[str, ...] = ()
    mapped: bool = False
    checked: bool = False
    both_ways: frozenset[str] = frozenset()

    def put(self, field: str, value: Any, *, one_way: bool) -> None:
        """Set a field, mark it to be cleared, or withhold a consent flag whose value is "no"."""
        if value is CLEARED:
            self.cleared |= {field}
        elif one_way and value in (False, 0):
            self.withheld += (field,)
        else:
            self[field] = value
