"""From JSON to the records of `publitrac_async.marketo.models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, TypeVar

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from publitrac_async.errors import UnexpectedContent
from publitrac_async.marketo.models import (
    AttributeAccess,
    FieldResult,
    LeadAttribute,
    LeadField,
    LeadSchema,
    ListMembership,
    MarketoLead,
    ProgramMembership,
    Reason,
    RecordResult,
    SchemaField,
    SmartCampaignMembership,
)
from publitrac_async.models import vendor_name

T = TypeVar("T")


def _integer(value: Any, _: object = None) -> int:
    # bool is an int to Python, and int("x") would show the value.
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()):
        raise TypeError("not an integer")
    return int(value)


def _flag(value: Any, _: object = None) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _text(value: Any, _: object = None) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError("not text")
    return str(value)


def _moment(value: Any, _: object = None) -> datetime:
    return datetime.fromisoformat(value)


_converter: Final = Converter()
for _kind, _hook in ((int, _integer), (bool, _flag), (str, _text), (datetime, _moment)):
    _converter.register_structure_hook(_kind, _hook)
for _model in (
    Reason,
    AttributeAccess,
    SchemaField,
    FieldResult,
    LeadAttribute,
    LeadField,
    LeadSchema,
    ListMembership,
    ProgramMembership,
    RecordResult,
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
    """A record from JSON. Unknown members are passed over: Marketo adds some at any time.

    Raises:
        UnexpectedContent: a member that must be there is missing, or one has the wrong type. The text
            names no value.
    """
    if isinstance(item, dict):
        try:
            return _converter.structure(item, kind)
        except (BaseValidationError, ValueError, TypeError, KeyError):
            pass
    raise UnexpectedContent(f"an item is not the {kind.__name__} that Marketo documents")


def structure_lead(item: Any) -> MarketoLead:
    """A lead from JSON.

    Raises:
        UnexpectedContent: it has no id.
    """
    number = item.get("id") if isinstance(item, dict) else None
    if isinstance(number, bool) or not isinstance(number, int):
        raise UnexpectedContent("a lead came without its id")
    fields = dict(item)
    membership = fields.pop("membership", None)
    return MarketoLead(
        id=number,
        fields=fields,
        membership=None if membership is None else structure(membership, ProgramMembership),
    )
