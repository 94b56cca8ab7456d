"""Validation of leads (PUBLITRAC API reference, Codes d'erreurs)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from attrs import field, frozen

from publitrac_async.sandbox.publitrac.fields import NATIVE_FIELDS, Kind, is_custom_field_name, is_email

EMAIL_REQUIRED: Final = 9001
EMAIL_INVALID: Final = 9002
INTEGER_INVALID: Final = 9006
BOOLEAN_INVALID: Final = 9007
UNSUPPORTED_TAG: Final = 9008

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")


@frozen
class LeadInput:
    """A lead as sent by a call: it has only the fields that were sent."""

    values: Mapping[str, str] = field(factory=dict)
    """Native fields by vendor name."""
    custom: Mapping[str, str] = field(factory=dict)
    """Custom fields by name."""
    unknown: tuple[str, ...] = ()
    """Names that are not fields."""

    @property
    def email(self) -> str:
        """The e-mail that was sent, or an empty text."""
        return self.values.get("email", "")


@frozen
class Problem:
    """Reason of a refused lead."""

    code: int | None
    """Vendor code; None where the documents show an error without one."""
    text: str
    label: str = ""
    """The field's spelling in messages."""


class LeadRefusedError(Exception):
    """A lead cannot be stored."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def field_problems(lead: LeadInput, known_custom_fields: AbstractSet[str] | None) -> list[Problem]:
    """Return the problems of the fields, e-mail excepted, in the order of the documents."""
    problems = [
        Problem(None if kind == "datetime" else _CODES[kind], text, item.label)
        for item in NATIVE_FIELDS
        if item.writable and (kind := item.kind) != "text"
        if (text := _value_problem(item.label, kind, lead.values.get(item.name, "")))
    ]
    problems += [
        Problem(UNSUPPORTED_TAG, f"Unsupported custom tag ({name})")
        for name in (*lead.unknown, *lead.custom)
        if name in lead.unknown or not _is_supported(name, known_custom_fields)
    ]
    return problems


def email_problems(email: str) -> list[Problem]:
    """Return the problems of an e-mail address."""
    if not email:
        return [Problem(EMAIL_REQUIRED, "Email is required")]
    if not is_email(email):
        return [Problem(EMAIL_INVALID, "Email address is invalid")]
    return []


_CODES: Final[Mapping[Kind, int]] = {"integer": INTEGER_INVALID, "boolean": BOOLEAN_INVALID}


def _value_problem(label: str, kind: Kind, value: str) -> str | None:
    if not value:
        return None
    if kind == "integer" and not _INTEGER.fullmatch(value):
        return f"{label} ({value}) must be a valid integer"
    if kind == "boolean" and value not in ("0", "1"):
        return f"{label} ({value}) must be 0 or 1"
    if kind == "datetime" and not is_date(value):
        return f"{label} ({value}) must be yyyy-mm-dd or yyyy-mm-dd hh:mm:ss"
    return None


def is_date(value: str) -> bool:
    """Return True if a value is a date, or a date with time, in the documented format."""
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S"):
        try:
            # strptime accepts 2014-1-2, too; the documents do not.
            if datetime.strptime(value, form).strftime(form) == value:  # noqa: DTZ007 - only the form matters
                return True
        except ValueError:
            continue
    return False


def is_integer(value: str) -> bool:
    """Return True if a value is an integer."""
    return bool(_INTEGER.fullmatch(value))


def _is_supported(name: str, known: AbstractSet[str] | None) -> bool:
    return is_custom_field_name(name) and (known is None or name in known)
