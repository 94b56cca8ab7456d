"""Between records and the wire: vendor names, dates, 0/1, unset, custom fields. Shared by v1 and v2."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from publitrac_async.checks import not_sendable
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Date, DateTime, Flag, Integer, Lead, Text, Unset

_TRUE: Final = frozenset({"1", "true"})
_FALSE: Final = frozenset({"0", "false"})
_ZERO_DATE: Final = "0000-00-00"


def vendor_name(attribute: str) -> str:
    """The vendor's spelling of a field: ``first_name`` is ``firstName``."""
    head, *rest = attribute.split("_")
    return head + "".join(part.capitalize() for part in rest)


#: Attribute by vendor name, for the native fields of a lead.
NATIVE_FIELDS: Final[dict[str, str]] = {
    vendor_name(attribute.name): attribute.name
    for attribute in attrs.fields(Lead)
    if attribute.name not in ("custom_fields", "unparsed")
}
_RETURNED_ONLY: Final = frozenset({"id", "createdDate", "lastUpdated"})


# From the wire. Text comes as it is; empty elements of other types mean "no value".


def _text_from_wire(value: Any, _: object = None) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _integer_from_wire(value: Any, _: object = None) -> int | None:
    if value is None or isinstance(value, int):
        return value
    text = str(value).strip()
    return int(text) if text else None


def _flag_from_wire(value: Any, _: object = None) -> bool | None:
    text = "" if value is None else str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text:
        raise ValueError("neither 0 nor 1")
    return None


def _datetime_from_wire(value: Any, _: object = None) -> datetime | None:
    text = "" if value is None else str(value).strip()
    if not text or text.startswith(_ZERO_DATE):
        return None
    return datetime.fromisoformat(text)


def _date_from_wire(value: Any, _: object = None) -> date | None:
    text = "" if value is None else str(value).strip()
    if not text or text.startswith(_ZERO_DATE):
        return None
    return date.fromisoformat(text) if len(text) == len("yyyy-mm-dd") else datetime.fromisoformat(text)


# To the wire. Dates and text are text, flags are 0 and 1, integers are integers.


def _text_to_wire(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        if value is not None and not_sendable(value):
            raise ValueError("holds control characters or lone surrogates, which cannot be sent")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # Ids and postal codes often are numbers where they come from.
    raise TypeError(f"must be text, not {type(value).__name__}")


def _integer_to_wire(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"must be an integer, not {type(value).__name__}")


def _flag_to_wire(value: Any) -> int | None:
    if value is None:
        return None
    if value in (0, 1):
        return int(value)
    raise TypeError("must be True or False")


def _date_to_wire(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return moment.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"must be a date, not {type(value).__name__}")


def custom_to_wire(value: Any) -> str | None:
    """A custom field's value as the text that is sent.

    Raises:
        ValueError: it cannot be written.
        TypeError: it is of a kind that the vendor's documents do not know.
    """
    match value:
        case None | str():
            return _text_to_wire(value)
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return format(value, "f").rstrip("0").rstrip(".") if value != int(value) else str(int(value))
        case date():
            return _date_to_wire(value)
        case _:
            raise TypeError(f"cannot be written from {type(value).__name__}")


_FROM_WIRE: Final[dict[Any, Callable[[Any, object], Any]]] = {
    Text: _text_from_wire,
    Integer: _integer_from_wire,
    Flag: _flag_from_wire,
    Date: _date_from_wire,
    DateTime: _datetime_from_wire,
}
_TO_WIRE: Final[dict[Any, Callable[[Any], Any]]] = {
    Text: _text_to_wire,
    Integer: _integer_to_wire,
    Flag: _flag_to_wire,
    Date: _date_to_wire,
    DateTime: _date_to_wire,
}


def make_converter() -> Converter:
    """A converter that knows the vendor's types: text, integers, 0/1, dates, and what is unset."""
    converter = Converter(omit_if_default=True)
    for kind, hook in _FROM_WIRE.items():
        converter.register_structure_hook(kind, hook)
    for kind, to_wire in _TO_WIRE.items():
        converter.register_unstructure_hook(kind, to_wire)
    return converter


_converter: Final = make_converter()
_overrides: Final = {
    **{attribute: override(rename=name) for name, attribute in NATIVE_FIELDS.items()},
    "custom_fields": override(omit=True),
    "unparsed": override(omit=True),
}
# Compiled here, once, so that the first request does not wait for it.
_structure: Final = make_dict_structure_fn(Lead, _converter, **_overrides)  # type: ignore[arg-type]  # cattrs types only the AttributeOverride of one field
_unstructure: Final = make_dict_unstructure_fn(Lead, _converter, _cattrs_omit_if_default=True, **_overrides)  # type: ignore[arg-type]  # as above
_TYPES: Final[dict[str, Any]] = {
    vendor_name(attribute.name): attribute.type for attribute in attrs.fields(attrs.resolve_types(Lead))
}


def lead_from_wire(fields: Mapping[str, Any]) -> Lead:
    """A lead from the fields of an answer, which are flat: whatever is not native is a custom field.

    A value that does not fit its field's type is kept in ``unparsed``.
    """
    native: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, value in fields.items():
        if name in NATIVE_FIELDS:
            native[name] = value
        else:
            custom[name] = value
    unparsed: dict[str, str] = {}
    try:
        lead = _structure(native, Lead)
    except BaseValidationError:
        for name, value in native.items():
            try:
                _FROM_WIRE[_TYPES[name]](value, None)
            except (ValueError, TypeError):
                unparsed[name] = str(value)
                native[name] = None
        lead = _structure(native, Lead)
    lead.custom_fields = custom
    lead.unparsed = unparsed
    return lead


def lead_to_wire(lead: Lead, operation: str) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Native and custom fields of a lead, by the vendor's names, ready to be written.

    Unset fields and those that only the service sets (``id``, ``createdDate``, ``lastUpdated``) are left
    out.

    Raises:
        ValidationError: a value cannot be written; all such fields are named.
    """
    try:
        native = _unstructure(lead)
        custom = {name: custom_to_wire(value) for name, value in lead.custom_fields.items()}
    except (ValueError, TypeError):
        native = None
    if native is None:
        raise _unwritable(lead, operation)
    for name in _RETURNED_ONLY & native.keys():
        del native[name]
    return native, custom


def _unwritable(lead: Lead, operation: str) -> ValidationError:
    problems = []
    writers = [
        *(
            (name, getattr(lead, attribute), _TO_WIRE[_TYPES[name]])
            for name, attribute in NATIVE_FIELDS.items()
        ),
        *((str(name), value, custom_to_wire) for name, value in lead.custom_fields.items()),
    ]
    for name, value, write in writers:
        if isinstance(value, Unset):
            continue
        try:
            write(value)
        except (ValueError, TypeError) as error:
            problems.append(Problem(str(error), field=name, value=value))
    text = "; ".join(map(str, problems))
    return ValidationError(text, problems=problems, operation=operation)


def lead_from_mapping(row: Mapping[str, Any]) -> Lead:
    """A lead from a row of a file or database.

    Columns are native fields under the vendor's name or the name here (``firstName``, ``first_name``);
    every other column is a custom field. Text is converted to the field's type. An empty cell leaves its
    field unset; a custom field likewise.

    Raises:
        ValidationError: values that do not fit their field, all of them named.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    custom: dict[str, Any] = {}
    for column, value in row.items():
        name = column if column in NATIVE_FIELDS else vendor_name(column)
        if value is None or value == "":
            continue
        if name not in NATIVE_FIELDS:
            custom[column] = value
            continue
        attribute, kind = NATIVE_FIELDS[name], _TYPES[name]
        if isinstance(value, str) and kind != Text:
            try:
                value = _FROM_WIRE[kind](value, None)  # noqa: PLW2901  (the cell's text becomes its value)
            except ValueError:
                problems.append(Problem(_EXPECTED[kind], code=_CODES.get(kind), field=name, value=value))
                continue
        values[attribute] = value
    if problems:
        raise ValidationError("; ".join(map(str, problems)), problems=problems)
    return Lead(**values, custom_fields=custom)


_EXPECTED: Final = {
    Integer: "must be a valid integer",
    Flag: "must be 0 or 1",
    Date: "must be a date, yyyy-mm-dd or yyyy-mm-dd hh:mm:ss",
    DateTime: "must be a date, yyyy-mm-dd or yyyy-mm-dd hh:mm:ss",
}
#: The vendor's codes for the same complaints.
_CODES: Final = {Integer: 9006, Flag: 9007}
