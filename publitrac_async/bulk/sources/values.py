"""Convert values of spreadsheets and databases to values of leads."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any


def plain(value: Any) -> Any:
    """Return `value` as text, number, flag or date.

    Spreadsheets have no integers, and databases have types for decimals and ids. Numbers without a fraction
    become integers: they are phone numbers, postal codes or counts.
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
