"""Turning seed records into stored ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fields import CUSTOM_FIELDS, FIELD_BY_NAME, is_custom_field_name
from .leads import LeadStore


def seed_text(value: Any) -> str:
    """Return a seeded value as the service stores it: texts, 0/1 for booleans, empty for None.

    Raises:
        ValueError: If the value is a list or an object.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("A seeded value must be a text, a number, a boolean or None.")


def seed_lead(leads: LeadStore, record: Mapping[str, Any], *, at: str) -> int:
    """Store a lead as a test describes it, without the checks that calls go through.

    Args:
        leads: Where to store it.
        record: Vendor names; `id`, `createdDate` and `lastUpdated` may be given. Other names, and those in
            `customFields`, are custom fields.
        at: Dates of a lead for which none are given.

    Returns:
        The lead's id.

    Raises:
        ValueError: If a name or value cannot be used, or a lead with this id exists.
    """
    flat = {name: value for name, value in record.items() if name != CUSTOM_FIELDS}
    flat |= record.get(CUSTOM_FIELDS) or {}
    values: dict[str, str] = {}
    custom: dict[str, str] = {}
    for name, value in flat.items():
        if name in FIELD_BY_NAME:
            values[name] = seed_text(value)
        elif is_custom_field_name(name):
            custom[name] = seed_text(value)
        else:
            raise ValueError(f"{name!r} cannot be the name of a custom field.")
    if values.get("id") and leads.count("id = ?", [values["id"]]):
        raise ValueError(f"A lead with id {values['id']} exists already.")
    return leads.insert(values, custom, at=at)
