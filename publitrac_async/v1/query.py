"""Conditions of a search: ``field("lastName").like("smith%")``."""

from __future__ import annotations

from attrs import frozen


@frozen
class Condition:
    """Condition (``<query>``) of getLeads: a field, an operator, a value.

    The documents show one operator, ``like``, with ``%`` for any text in the value.
    """

    field: str
    operator: str
    value: str


@frozen
class FieldName:
    """Field of a condition."""

    name: str

    def like(self, pattern: str) -> Condition:
        """Match fields with `pattern`, in which ``%`` matches any text."""
        return Condition(self.name, "like", pattern)

    def compare(self, operator: str, value: str) -> Condition:
        """Compare by any operator, also an undocumented one; the service decides."""
        return Condition(self.name, operator, value)


def field(name: str) -> FieldName:
    """Begin a condition on a field, by the vendor's name: ``lastName``, or the name of a custom field."""
    return FieldName(name)
