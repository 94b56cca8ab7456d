"""Conditions on leads, converted to SQL (PUBLITRAC API reference, Get leads).

The documents show one operator, `like` with the wildcard `%`; `=`, `!=`, `<` and `>` are extras of the
sandbox. Texts are compared regardless of case; several conditions must all hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from publitrac_async.sandbox.publitrac.fields import FIELD_BY_NAME, is_custom_field_name
from publitrac_async.sandbox.settings.publitrac import OPERATORS, Combination

_LONGEST_PATTERN: Final = 10_000
"""SQLite refuses patterns of more than 50,000 bytes."""


@frozen
class Condition:
    """One `<query>`: field, operator and value as sent."""

    field: str
    operator: str
    value: str

    @property
    def supported(self) -> bool:
        """True if a field can have this name and the operator is known."""
        return (
            self.field in FIELD_BY_NAME or is_custom_field_name(self.field)
        ) and self.operator.lower() in OPERATORS


def where(conditions: Sequence[Condition], combine: Combination = "and") -> tuple[str, list[Any]]:
    """Return an SQL condition on `publitrac_leads` and its parameters.

    Args:
        conditions: supported conditions; an empty sequence means every lead.
        combine: `and` if all of them must hold, `or` if one suffices.
    """
    parts: list[str] = []
    parameters: list[Any] = []
    for condition in conditions:
        part, values = _one(condition)
        parts.append(part)
        parameters += values
    return f" {combine.upper()} ".join(parts) or "1", parameters


def _one(condition: Condition) -> tuple[str, list[Any]]:
    native = FIELD_BY_NAME.get(condition.field)
    parameters: list[Any] = []
    if native:
        column = f'"{native.name}"'
    else:
        column = "json_extract(custom_fields, ?)"
        parameters.append(f'$."{condition.field}"')
    operator = condition.operator.lower()
    if operator == "like":
        if len(condition.value) > _LONGEST_PATTERN:
            return "0", []
        return f"folded({column}) LIKE folded(?) ESCAPE '\\'", [*parameters, condition.value]
    if native and native.kind == "integer" and operator in "<>":
        return f"CAST({column} AS INTEGER) {operator} CAST(? AS INTEGER)", [*parameters, condition.value]
    return f"folded(coalesce({column}, '')) {operator} folded(?)", [*parameters, condition.value]
