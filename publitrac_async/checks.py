"""What can be refused before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import UNSET, Lead, vendor_name

#: A shape that no mail server could use is refused; whether an address exists is the service's business.
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[^\s@<>()\[\],;:\"\\.]+(?:\.[^\s@<>()\[\],;:\"\\.]+)+")
#: What XML 1.0 cannot carry. Written as the complement of what it can, it takes 3 ms longer to compile.
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_NATIVE_NAMES: Final = frozenset(vendor_name(attribute.name) for attribute in attrs.fields(Lead)) - {
    "unparsed"
}


def refuse(problems: Sequence[Problem], operation: str | None) -> None:
    """Raise what was found, if anything was.

    Raises:
        ValidationError: `problems` is not empty.
    """
    if problems:
        raise ValidationError("; ".join(map(str, problems)), problems=problems, operation=operation)


def email_problem(email: object) -> Problem | None:
    """What is wrong with an e-mail address, ``None`` if nothing is."""
    if email is None or email == "" or email is UNSET:
        return Problem("an e-mail address is required", code=9001, field="email")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email) or not_sendable(email):
        return Problem("not an e-mail address", code=9002, field="email", value=email)
    return None


def check_email(email: object, operation: str) -> None:
    """Refuse what has not the shape of an e-mail address.

    Raises:
        ValidationError: it has not (codes 9001, 9002 of the vendor's annex).
    """
    problem = email_problem(email)
    refuse([problem] if problem else [], operation)


def check_lead(lead: Lead, operation: str) -> None:
    """Check what every operation that writes a lead requires: an e-mail address, and no bad custom field.

    Raises:
        ValidationError: with every problem found.
    """
    refuse(lead_problems(lead), operation)


def lead_problems(lead: Lead) -> list[Problem]:
    """List the problems of a lead that is to be written."""
    problems = [problem] if (problem := email_problem(lead.email)) else []
    names: Iterable[object] = lead.custom_fields  # ... whatever the caller put in.
    problems += [
        Problem(reason, field=str(name))
        for name in names
        if (reason := custom_name_problem(name)) is not None
    ]
    return problems


def custom_name_problem(name: object) -> str | None:
    """Return the reason why `name` cannot be the name of a custom field, ``None`` if it can."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return (
            "the name of a custom field must begin with a letter or underscore and hold only "
            "unaccented letters, digits, underscores, hyphens and dots"
        )
    return "this is a native field of a lead, not a custom one" if name in _NATIVE_NAMES else None


def check_page(page: int, operation: str) -> None:
    """Refuse a page number that is none.

    Raises:
        ValidationError: `page` is below 1.
    """
    refuse([Problem("pages are counted from 1", field="page", value=page)] if page < 1 else [], operation)


def check_read_ahead(pages: int, operation: str) -> None:
    """Refuse a negative number of pages.

    Raises:
        ValidationError: `pages` is below 0.
    """
    problem = Problem("the number of pages must be 0 or more", field="read_ahead", value=pages)
    refuse([problem] if pages < 0 else [], operation)


def not_sendable(text: str) -> bool:
    """Whether `text` has characters that XML 1.0 cannot carry: most control characters, lone surrogates."""
    return _NOT_XML.search(text) is not None
