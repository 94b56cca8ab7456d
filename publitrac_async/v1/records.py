"""Convert records of v1 from and to the wire."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs

from publitrac_async.converters import FROM_WIRE, TO_WIRE, as_sent, unwritable
from publitrac_async.models import UNSET, Integer, Text, vendor_name

R = TypeVar("R")

#: Types of optional attributes, by the type of mandatory ones in the same wire form.
_OPTIONAL: Final[dict[Any, Any]] = {str: Text, int: Integer}


def record_from_wire(kind: Callable[..., R], fields: Mapping[str, Any]) -> R:
    """Make a record from the fields of a response.

    Names are compared without case and underscores: the vendor writes ``Created_Date``, ``id``,
    ``External_id``. Fields without an attribute go to ``other_fields``, values that do not fit their type to
    ``unparsed``.
    """
    attributes = _attributes(kind)
    values: dict[str, Any] = {}
    unparsed: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for name, value in fields.items():
        attribute = attributes.get(name.lower().replace("_", ""))
        if attribute is None:
            other[name] = value
            continue
        try:
            values[attribute.name] = FROM_WIRE[_type(attribute)](value, None)
        except (ValueError, TypeError):
            unparsed[name] = as_sent(value)
            values[attribute.name] = None
    return kind(**values, other_fields=other, unparsed=unparsed)


def record_to_wire(record: Any, operation: str) -> dict[str, Any]:
    """Return the set fields of a record as text, by the vendor's names.

    Args:
        record: the record. The caller converts attributes of types that are not in `publitrac_async.models`.
        operation: name of the operation in errors.

    Raises:
        ValidationError: a value cannot be written; the error names all such fields.
    """
    kind: Any = type(record)
    writers = [
        (vendor_name(attribute.name), getattr(record, attribute.name), TO_WIRE[_type(attribute)])
        for attribute in _attributes(kind).values()
    ]
    try:
        return {name: write(value) for name, value, write in writers if value is not UNSET}
    except (ValueError, TypeError):
        failure = unwritable(writers, operation)
    raise failure


@functools.cache  # For each record, it would take as long as all the rest.
def _attributes(kind: Any) -> dict[str, attrs.Attribute[Any]]:
    return {
        attribute.name.replace("_", ""): attribute
        for attribute in attrs.fields(attrs.resolve_types(kind))
        if _type(attribute) in FROM_WIRE
    }


def _type(attribute: attrs.Attribute[Any]) -> Any:
    return _OPTIONAL.get(attribute.type, attribute.type)
