"""Validators and converters of the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import Attribute


def require_positive_or_none(_instance: object, attribute: Attribute[Any], value: int | None) -> None:
    """Refuse a number below 1; None is allowed."""
    if value is not None and value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, or None")


def require_time_zone(_instance: object, attribute: Attribute[Any], name: str) -> None:
    """Refuse a name that is not in the time zone database; `UTC` needs no database."""
    if name == "UTC":
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{attribute.name}: {name!r} is not a known time zone") from error


def require_path(_instance: object, attribute: Attribute[Any], path: str) -> None:
    """Refuse a path that does not begin with a slash."""
    if not path.startswith("/"):
        raise ValueError(f"{attribute.name} must begin with a slash")


def names(values: Iterable[str]) -> frozenset[str]:
    """Convert a collection of names to a set. A single text is refused: it is a collection of letters."""
    if isinstance(values, str):
        raise TypeError("must be a collection of names, not one string")
    return frozenset(values)


def names_or_none(values: Iterable[str] | None) -> frozenset[str] | None:
    """Convert a collection of names to a set; None remains None."""
    return None if values is None else names(values)
