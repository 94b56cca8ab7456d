"""Conditions of a search: ``field("lastName").like("smith%")``."""

from __future__ import annotations

from attrs import frozen


@frozen
class Condition:
    """Condition (``<query>``) of getLeads: a field, an operator, a value.

    The documents show one operator, ``like``, with ``%`` for any text in the value.

    Attributes:
        field: the vendor's name of the field.
        operator: the vendor's name of the operator.
        value: text to compare with.
    """

    field: str
    operator: str
    value: str


@frozen
class FieldName:
    """Field of a condition.

    Attributes:
        name: the vendor's name of the field.
    """

    name: str

    def like(self, pattern: str) -> Condition:
        """Match fields against `pattern`, in which ``%`` matches any text.

        Args:
            pattern: text, such as ``smith%``.
        """
        return Condition(self.name, "like", pattern)

    def compare(self, operator: str, value: str) -> Condition:
        """Compare by any operator, including undocumented ones; the service decides.

        Args:
            operator: the vendor's name of the operator.
            value: text to compare with.
        """
        return Condition(self.name, operator, value)


def field(name: str) -> FieldName:
    """Begin a condition on a field, by the vendor's name: ``lastName``, or the name of a custom field.

    Args:
        name: ``lastName``, or the name of a custom field.
    """
    return FieldName(name)
