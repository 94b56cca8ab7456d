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
        withheld: flags of consent that say "no" and are not sent.
        mapped: the names are those of a mapping; false for a sink's own columns.
        both_ways: flags of consent of which a "no" is sent, too.
        checked: address and names of custom fields are valid.
    """

    # Of the class, since most rows need none of them.
    cleared: frozenset[str] = frozenset()
    notes: tuple[tuple[str, str], ...] = ()
    withheld: tuple[str, ...] = ()
    mapped: bool = False
    checked: bool = False
    both_ways: frozenset[str] = frozenset()

    def put(self, field: str, value: Any, *, one_way: bool) -> None:
        """Set a field, note that it is to be cleared, or withhold a flag of consent that says "no"."""
        if value is CLEARED:
            self.cleared |= {field}
        elif one_way and value in (False, 0):
            self.withheld += (field,)
        else:
            self[field] = value
