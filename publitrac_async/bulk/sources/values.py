"""Values of spreadsheets and databases, made into what a lead can hold."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any


def plain(value: Any) -> Any:
    """`value` as text, number, flag or date.

    Spreadsheets know no integers and databases have decimals and ids of their own; whole numbers become
    integers, since that is what they are as phone numbers, postal codes and counts.
    """
    match value:
        case float() if value.is_integer():
            return int(value)
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else format(value, "f")
        case uuid.UUID() | dt.time() | dt.timedelta():
            return str(value)
        case _:
            return value
