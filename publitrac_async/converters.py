"""Convert records to and from the wire, for v1 and v2: vendor names, dates, 0/1, unset, custom fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from publitrac_async.checks import not_sendable, refusal, refuse
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import UNSET, Date, DateTime, Flag, Integer, Lead, Nested, Text, vendor_name

_FLAGS: Final[dict[str, bool | None]] = {"1": True, "true": True, "0": False, "false": False, "": None}
_ZERO_DATE: Final = "0000-00-00"
_MAX_INTEGER: Final = 10**18
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
#: Limit on the digits before or after the point. More digits are a mistake, and could take gigabytes.
_MAX_EXPONENT: Final = 400


#: Attributes of the native fields of a lead, by vendor name.
NATIVE_FIELDS: Final[dict[str, str]] = {
    vendor_name(attribute.name): attribute.name
    for attribute in attrs.fields(Lead)
    if attribute.name not in ("custom_fields", "unparsed")
}
_RETURNED_ONLY: Final = frozenset({"id", "createdDate", "lastUpdated"})


# From the wire. Text stays unchanged; empty elements of other types mean "no value".


def as_sent(value: Any) -> Any:
    """Return a value of a response unchanged: text, XML, or a list of them."""
    if isinstance(value, list):
        return [as_sent(each) for each in value]
    return value.inner if isinstance(value, Nested) else value


def _text_from_wire(value: Any, _: object = None) -> str | None:
    if isinstance(value, Nested):
        return value.inner
    if isinstance(value, (list, dict)):
        raise TypeError("not a single text")
    return value if value is None or isinstance(value, str) else str(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    text = _text_from_wire(value)
    return "" if text is None else text


def _integer_from_wire(value: Any, _: object = None) -> int | None:
    text = _plain(value)
    if text and not _INTEGER.fullmatch(text):  # int() also takes "1_000" and other scripts' digits.
        raise ValueError("not an integer")
    return int(text) if text else None


def _flag_from_wire(value: Any, _: object = None) -> bool | None:
    text = _plain(value).lower()
    if text not in _FLAGS:
        raise ValueError("neither 0 nor 1")
    return _FLAGS[text]


def _datetime_from_wire(value: Any, _: object = None) -> datetime | None:
    text = _plain(value)
    if not text or text.startswith(_ZERO_DATE):
        return None
    return _in_utc(datetime.fromisoformat(text))


def _date_from_wire(value: Any, _: object = None) -> date | None:
    text = _plain(value)
    if len(text) == len(_ZERO_DATE) and text != _ZERO_DATE:
        return date.fromisoformat(text)
    return _datetime_from_wire(text)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("must be a date within the range of UTC") from None


# To the wire. Dates and text are text, flags are 0 and 1, integers are integers.


def _text_to_wire(value: Any) -> str | None:
    if isinstance(value, str):
        if not_sendable(value):
            raise ValueError("has control characters or lone surrogates, which cannot be sent")
        return value
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # Ids and postal codes are often numbers in the source.
    raise TypeError(f"must be text, not {type(value).__name__}")


def _integer_to_wire(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be an integer, not {type(value).__name__}")
    if abs(value) >= _MAX_INTEGER:
        raise ValueError("must be an integer of at most 18 digits")
    return value


def _flag_to_wire(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and value in (0, 1):
        return int(value)
    raise TypeError("must be True or False")


def _date_to_wire(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return _in_utc(value).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"must be a date, not {type(value).__name__}")


def decimal_text(value: float | Decimal) -> str:
    """Write a number without exponent and trailing zeros: ``1e-7`` is ``0.0000001``.

    Raises:
        ValueError: it is infinite or not a number.
    """
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite() or abs(number.adjusted()) > _MAX_EXPONENT:
        raise ValueError("must be a finite number")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def custom_to_wire(value: Any) -> str | None:
    """Write the value of a custom field as text.

    Raises:
        ValueError: it cannot be written.
        TypeError: its type is not in the vendor's documents.
    """
    match value:
        case None | str():
            return _text_to_wire(value)
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float() | Decimal():
            return decimal_text(value)
        case date():
            return _date_to_wire(value)
        case _:
            if isinstance(value, Mapping):
                raise TypeError("has a JSON object: give each of its parts a column")
            raise TypeError(f"cannot be written from {type(value).__name__}")


def _values_to_wire(value: Any) -> str | list[str | None] | None:
    """Write the value or values of a custom field."""
    if isinstance(value, (list, tuple)):
        return [custom_to_wire(part) for part in value]
    return custom_to_wire(value)


#: Converters from a value of a response, by type of the attribute. They raise `ValueError` or `TypeError` for
#: a value that does not fit.
FROM_WIRE: Final[dict[Any, Callable[[Any, object], Any]]] = {
    Text: _text_from_wire,
    Integer: _integer_from_wire,
    Flag: _flag_from_wire,
    Date: _date_from_wire,
    DateTime: _datetime_from_wire,
}
#: Converters to the wire. The messages of their errors are for the caller.
TO_WIRE: Final[dict[Any, Callable[[Any], Any]]] = {
    Text: _text_to_wire,
    Integer: _integer_to_wire,
    Flag: _flag_to_wire,
    Date: _date_to_wire,
    DateTime: _date_to_wire,
}


def make_converter() -> Converter:
    """Make a converter for the vendor's types: text, integers, 0/1, dates, unset values."""
    converter = Converter(omit_if_default=True)
    for kind, hook in FROM_WIRE.items():
        converter.register_structure_hook(kind, hook)
    for kind, to_wire in TO_WIRE.items():
        converter.register_unstructure_hook(kind, to_wire)
    return converter


_converter: Final = make_converter()
_overrides: Final = {
    **{attribute: override(rename=name) for name, attribute in NATIVE_FIELDS.items()},
    "custom_fields": override(omit=True),
    "unparsed": override(omit=True),
}
# Compiled here, so that the first request does not wait for it.
_structure: Final = make_dict_structure_fn(Lead, _converter, **_overrides)  # type: ignore[arg-type]  # cattrs types only the AttributeOverride of one field
_unstructure: Final = make_dict_unstructure_fn(Lead, _converter, _cattrs_omit_if_default=True, **_overrides)  # type: ignore[arg-type]  # as above
#: Types of the native fields of a lead, by vendor name.
FIELD_TYPES: Final[dict[str, Any]] = {
    vendor_name(attribute.name): attribute.type for attribute in attrs.fields(attrs.resolve_types(Lead))
}


def lead_from_wire(fields: Mapping[str, Any]) -> Lead:
    """Make a lead from the flat fields of a response.

    Fields that are not native are custom fields. Values that do not fit the type of their field go to
    ``unparsed``.
    """
    native: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for name, value in fields.items():
        if name in NATIVE_FIELDS:
            native[name] = value
        else:
            custom[name] = value
    unparsed: dict[str, Any] = {}
    try:
        lead = _structure(native, Lead)
    except BaseValidationError:
        for name, value in native.items():
            try:
                FROM_WIRE[FIELD_TYPES[name]](value, None)
            except (ValueError, TypeError):
                unparsed[name] = as_sent(value)
                native[name] = None
        lead = _structure(native, Lead)
    lead.custom_fields = custom
    lead.unparsed = unparsed
    return lead


def native_hooks() -> Mapping[str, tuple[str, Callable[[Any, Any], Any] | None]]:
    """Return attribute and converter of each native field of a lead, by vendor name.

    The converter is ``None`` if text stays unchanged. The others convert ``""`` to ``None``.
    """
    return {
        name: (
            attribute,
            None if FIELD_TYPES[name] == Text else _converter.get_structure_hook(FIELD_TYPES[name]),
        )
        for name, attribute in NATIVE_FIELDS.items()
    }


def lead_to_wire(lead: Lead, operation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return native and custom fields of a lead as text, by vendor name.

    Unset fields and those set by the service (``id``, ``createdDate``, ``lastUpdated``) are omitted.

    Raises:
        ValidationError: a value cannot be written; the error names all such fields.
    """
    native: dict[str, Any] | None = None
    custom: dict[str, Any] = {}
    try:
        native = _unstructure(lead)
        custom = {
            name: _values_to_wire(value) for name, value in lead.custom_fields.items() if value is not UNSET
        }
    except (ValueError, TypeError):
        native = None
    if native is None:
        writers = [
            (name, getattr(lead, attribute), TO_WIRE[FIELD_TYPES[name]])
            for name, attribute in NATIVE_FIELDS.items()
        ]
        writers += [(str(name), value, _values_to_wire) for name, value in lead.custom_fields.items()]
        raise unwritable(writers, operation)
    for name in _RETURNED_ONLY & native.keys():
        del native[name]
    return native, custom


#: Converters to the wire of the native fields that are sent, by vendor name.
_WRITERS: Final = {name: TO_WIRE[FIELD_TYPES[name]] for name in NATIVE_FIELDS if name not in _RETURNED_ONLY}


def fields_to_wire(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what `lead_to_wire` returns for a lead with these fields, without making the lead.

    A lead has 44 fields and most rows have few: through leads, a row of a bulk run takes 7 % longer.

    Args:
        fields: values by vendor name.

    Returns:
        Native and custom fields; ``None`` if a value cannot be written.
    """
    native: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    try:
        for name, value in fields.items():
            write = _WRITERS.get(name)
            if write is not None:
                native[name] = write(value)
            elif name not in _RETURNED_ONLY:
                custom[name] = _values_to_wire(value)
    except (ValueError, TypeError):
        return None
    return native, custom


def unwritable(writers: Iterable[tuple[str, Any, Callable[[Any], Any]]], operation: str) -> ValidationError:
    """Return the error that names each field that cannot be written.

    Args:
        writers: vendor name, value and writer of each field.
        operation: named in the error.
    """
    problems = []
    for name, value, write in writers:
        try:
            if value is not UNSET:
                write(value)
        except (ValueError, TypeError) as error:
            problems.append(Problem(str(error), field=name, value=value))
    return refusal(problems, operation)


def lead_from_mapping(row: Mapping[str, Any]) -> Lead:
    """Make a lead from a row of a file or database.

    Columns are native fields under the vendor's name or the attribute name (``firstName``, ``first_name``);
    every other column is a custom field. Text is converted to the type of the field. An empty cell leaves its
    field unset, custom fields included.

    Raises:
        ValidationError: values do not fit their fields; the error names all of them.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    custom: dict[str, Any] = {}
    for column, value in row.items():
        name = column if column in NATIVE_FIELDS else vendor_name(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if name not in NATIVE_FIELDS:
            custom[column] = value
            continue
        attribute, kind = NATIVE_FIELDS[name], FIELD_TYPES[name]
        if isinstance(value, str) and kind != Text:
            try:
                value = FROM_WIRE[kind](value, None)  # noqa: PLW2901  (text is replaced by its value)
            except ValueError:
                problems.append(Problem(_EXPECTED[kind], code=_CODES.get(kind), field=name, value=value))
                continue
            if value is None:  # 0000-00-00 and other placeholders are never sent by accident.
                continue
        values[attribute] = value
    refuse(problems, None)
    return Lead(**values, custom_fields=custom)


_EXPECTED: Final = {
    Integer: "must be a valid integer",
    Flag: "must be 0 or 1",
    Date: "must be a date, yyyy-mm-dd or yyyy-mm-dd hh:mm:ss",
    DateTime: "must be a date, yyyy-mm-dd or yyyy-mm-dd hh:mm:ss",
}
#: The vendor's codes for the same problems.
_CODES: Final = {Integer: 9006, Flag: 9007}
