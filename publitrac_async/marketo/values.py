"""Convert values of fields and parameters to the form of Marketo."""

from __future__ import annotations

import enum
import math
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final

import orjson

from publitrac_async.errors import Problem

#: Types of values that can be sent.
_WRITABLE: Final = (str, int, float, date, Decimal, uuid.UUID, NoneType)
#: Types of values that need no check: the JSON encoder writes or refuses them.
PLAIN: Final = frozenset({str, int, bool, NoneType})
_MINUTE: Final = timedelta(minutes=1)
#: This package writes datetimes, instead of orjson.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME
_SORTED: Final = _OPTIONS | orjson.OPT_SORT_KEYS


def write_json(content: Any, *, sort: bool = False) -> bytes | None:
    """Return `content` as JSON, or ``None`` if it cannot be written as JSON.

    Datetimes are written to the second with their zone, as Marketo's "Field Types" require; without a zone
    they are UTC. Decimals keep their digits, enum members are written as their value.

    Args:
        content: content to write.
        sort: sort names, so that equal contents are equal bytes.
    """
    try:
        return orjson.dumps(content, default=_plain, option=_SORTED if sort else _OPTIONS)
    except orjson.JSONEncodeError:
        return None  # Lone surrogates or integers beyond 64 bits; the error's message may show them.


def write_time(value: datetime) -> str:
    """Return a time to the second, with its zone. A time without a zone is UTC."""
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    offset = aware.utcoffset()
    if offset is not None and offset % _MINUTE:
        # Historic local mean time has offsets with seconds; Marketo's format has only minutes.
        aware = aware.astimezone(UTC)
    return aware.isoformat(timespec="seconds")


def write_text(value: Any) -> str:
    """Return a value as the text of a parameter."""
    match value:
        case enum.Enum():
            return write_text(value.value)
        case bool():
            return "true" if value else "false"
        case datetime():
            return write_time(value)
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


def is_writable(value: Any) -> bool:
    """Return True if a value can be sent."""
    return isinstance(value.value if isinstance(value, enum.Enum) else value, _WRITABLE)


def value_problems(record: Mapping[str, Any], body: bytes | None) -> Iterator[Problem]:
    """Find values that cannot be sent.

    Args:
        record: values by field.
        body: the record as JSON, ``None`` if it cannot be written.
    """
    if not record:
        yield Problem("has no fields")
    for name, given in record.items():
        value = given.value if isinstance(given, enum.Enum) else given
        if isinstance(value, str):
            if body is None and write_json({name: value}) is None:
                yield Problem("has lone surrogates, which cannot be sent", field=name)
        elif not isinstance(value, _WRITABLE):
            yield Problem(f"cannot be written from {type(value).__name__}", field=name)
        elif _is_not_finite(value):
            yield Problem("must be a finite number", field=name)
        elif isinstance(value, datetime) and value != value:  # noqa: PLR0124  (pandas.NaT is a datetime)
            yield Problem("is not a time (NaT): pass None", field=name)
        elif body is None and write_json({name: value}) is None:
            yield Problem("must be a number within 64 bits", field=name)


def _is_not_finite(value: Any) -> bool:
    if isinstance(value, Decimal):
        return not value.is_finite()
    return isinstance(value, float) and not math.isfinite(value)


def _plain(value: Any) -> Any:
    """Return the replacement that orjson writes for `value`."""
    match value:
        case Decimal() if value.is_finite():
            return orjson.Fragment(f"{value:f}".encode())
        case datetime():
            return write_time(value)
        case date():
            return value.isoformat()
        case float() if math.isfinite(value):  # A subclass, such as that of numpy.
            return float(value)
        case _:
            raise TypeError(type(value).__name__)
