"""Conditions of a search: ``field("lastName").like("smith%")``."""

from __future__ import annotations

from attrs import frozen


@frozen
class Condition:
    """One ``<query>`` of getLeads: a field, an operator, a value.

    The documents show one operator, ``like``, with ``%`` for any text in the value.
    """

    field: str
    operator: str
    value: str


@frozen
class FieldName:
    """The field a condition is about."""

    name: str

    def like(self, pattern: str) -> Condition:
        """The field matches `pattern`, in which ``%`` stands for any text."""
        return Condition(self.name, "like", pattern)

    def compare(self, operator: str, value: str) -> Condition:
        """Any operator, for those the documents do not mention; the service decides."""
        return Condition(self.name, operator, value)


def field(name: str) -> FieldName:
    """Begin a condition on a field, by the vendor's name: ``lastName``, or a custom field's name."""
    return FieldName(name)
