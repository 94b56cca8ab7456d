"""Convert JSON to the records of `publitrac_async.marketo.models`.

An unreadable value becomes ``None`` and does not affect the others. A record without a mandatory value is
unreadable as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeVar

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from publitrac_async.errors import UnexpectedContent
from publitrac_async.marketo.codes import code_of
from publitrac_async.marketo.models import (
    AttributeAccess,
    LeadAttribute,
    LeadField,
    LeadSchema,
    ListMembership,
    MarketoLead,
    ProgramMembership,
    SchemaField,
    SmartCampaignMembership,
    read_time,
)
from publitrac_async.marketo.results import FieldResult, Reason, RecordResult
from publitrac_async.models import vendor_name

T = TypeVar("T")

logger: Final = logging.getLogger("publitrac_async")

_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}


def _integer(value: Any, _: object = None) -> int:
    # In Python bool is an int; and the error of int("x") would show the value.
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()):
        raise TypeError("not an integer")
    return int(value)


def _integer_or_none(value: Any, _: object = None) -> int | None:
    try:
        return _integer(value)
    except (TypeError, ValueError):
        return None


def _flag_or_none(value: Any, _: object = None) -> bool | None:
    return value if isinstance(value, bool) else _FLAGS.get(str(value).lower())


def _text(value: Any, _: object = None) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError("not text")
    return str(value)


def _text_or_none(value: Any, _: object = None) -> str | None:
    try:
        return _text(value)
    except TypeError:
        return None


def _time_or_none(value: Any, _: object = None) -> datetime | None:
    return read_time(value)


def _access_or_none(value: Any, _: object = None) -> AttributeAccess | None:
    try:
        return structure(value, AttributeAccess)
    except UnexpectedContent:
        return None


_converter: Final = Converter()
for _kind, _hook in (
    (int, _integer),
    (str, _text),
    (int | None, _integer_or_none),
    (bool | None, _flag_or_none),
    (str | None, _text_or_none),
    (datetime | None, _time_or_none),
    (AttributeAccess | None, _access_or_none),
):
    _converter.register_structure_hook(_kind, _hook)
_converter.register_structure_hook_func(
    lambda kind: kind == tuple[SchemaField, ...], lambda value, _: structure_all(value, SchemaField)
)
_converter.register_structure_hook_func(
    lambda kind: kind == tuple[tuple[str, ...], ...], lambda value, _: _keys(value)
)
for _model in (
    Reason,
    AttributeAccess,
    SchemaField,
    LeadAttribute,
    LeadField,
    LeadSchema,
    ListMembership,
    ProgramMembership,
    SmartCampaignMembership,
):
    _overrides = {
        name: override(rename=vendor_name(name)) for name in attrs.fields_dict(attrs.resolve_types(_model))
    }
    _converter.register_structure_hook(
        _model,
        make_dict_structure_fn(_model, _converter, **_overrides),  # type: ignore[arg-type]  # cattrs types only the AttributeOverride of one field
    )


def structure(item: Any, kind: type[T]) -> T:
    """Return a record from JSON. Unknown members are ignored: Marketo may add some at any time.

    Raises:
        UnexpectedContent: a mandatory member is missing, or has the wrong type. The message shows no value.
    """
    if isinstance(item, dict):
        try:
            return _converter.structure(item, kind)
        except (BaseValidationError, ValueError, TypeError, KeyError):
            pass
    raise UnexpectedContent(f"an item of the response is not a {kind.__name__} in the documented form")


def structure_each(items: Iterable[Any], read: Callable[[Any], T]) -> tuple[tuple[T, ...], tuple[Any, ...]]:
    """Return the readable items, and the unreadable ones unchanged."""
    found: list[T] = []
    unread: list[Any] = []
    for item in items:
        try:
            found.append(read(item))
        except UnexpectedContent:
            unread.append(item)
    if unread:
        logger.warning("%d items of a response of Marketo are unreadable", len(unread))
    return tuple(found), tuple(unread)


def structure_all(items: Any, kind: type[T]) -> tuple[T, ...]:
    """Return the readable items; log the number of the others as a warning."""
    listed = items if isinstance(items, list) else []
    return structure_each(listed, lambda item: structure(item, kind))[0]


def structure_lead(item: Any) -> MarketoLead:
    """Return a lead from JSON.

    Raises:
        UnexpectedContent: it has no id.
    """
    number = _integer_or_none(item.get("id")) if isinstance(item, dict) else None
    if number is None:
        raise UnexpectedContent("a lead in the response has no id")
    fields = {**item, "id": number}
    membership = fields.pop("membership", None)
    return MarketoLead(
        id=number,
        fields=fields,
        membership=structure(membership, ProgramMembership) if isinstance(membership, dict) else None,
    )


def structure_result(item: Any, given: Any, warnings: tuple[Reason, ...]) -> RecordResult:
    """Return the result of one record.

    Args:
        item: item of the response.
        given: the record, as given by the caller.
        warnings: Marketo's warnings about the call.
    """
    status, reasons, readable = _outcome(item)
    number = item.get("id") if isinstance(item, dict) else None
    identifier = _integer_or_none(number)
    return RecordResult(
        id=identifier,
        status=status,
        reasons=reasons,
        input=given,
        warnings=warnings,
        readable=readable and (identifier is None) == (number is None),
    )


def structure_field_result(item: Any, given: Any, warnings: tuple[Reason, ...]) -> FieldResult:
    """Return the result of one field; arguments as for `structure_result`."""
    status, reasons, readable = _outcome(item)
    name = _text_or_none(item.get("name")) if isinstance(item, dict) else None
    return FieldResult(
        name=name, status=status, reasons=reasons, input=given, warnings=warnings, readable=readable
    )


def structure_reasons(listed: Any) -> tuple[Reason, ...] | None:
    """Return reasons or warnings; ``None`` if they are not in the documented form.

    A single one may come without a list, or as plain text.
    """
    if listed is None:
        return ()
    found = []
    for each in listed if isinstance(listed, list) else [listed]:
        if isinstance(each, str):
            found.append(Reason("", each))
        elif isinstance(each, dict):
            found.append(Reason(code_of(each.get("code")), _text_or_none(each.get("message")) or ""))
        else:
            return None
    return tuple(found)


def _outcome(item: Any) -> tuple[str | None, tuple[Reason, ...], bool]:
    """Return status and reasons of a result, and True if all of it is readable."""
    if not isinstance(item, dict):
        return None, (), False
    status = item.get("status")
    reasons = structure_reasons(item.get("reasons"))
    single = structure_reasons(item.get("reason"))
    readable = reasons is not None and single is not None and isinstance(status, str | None)
    return (
        status if isinstance(status, str) else None,
        (*(reasons or ()), *(single or ())),
        readable,
    )


def _keys(value: Any) -> tuple[tuple[str, ...], ...]:
    listed = value if isinstance(value, list) else []
    keys = [[key] if isinstance(key, str) else key for key in listed]
    return tuple(
        tuple(key) for key in keys if isinstance(key, list) and all(isinstance(name, str) for name in key)
    )
