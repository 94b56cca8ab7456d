"""What can be refused before anything is sent."""

from __future__ import annotations

import re
from typing import Final

from publitrac_async.errors import Problem, ValidationError
from publitrac_async.models import Lead, Unset

#: A shape that no mail server could use is refused; whether an address exists is the service's business.
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[^\s@<>()\[\],;:\"\\.]+(?:\.[^\s@<>()\[\],;:\"\\.]+)+")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")


def email_problem(email: object) -> Problem | None:
    """What is wrong with an e-mail address, ``None`` if nothing is."""
    if email is None or email == "" or isinstance(email, Unset):
        return Problem("an e-mail address is required", code=9001, field="email")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        return Problem("not an e-mail address", code=9002, field="email", value=email)
    return None


def check_email(email: object, operation: str) -> str:
    """Return `email` if it has the shape of an address.

    Raises:
        ValidationError: it has not (codes 9001, 9002 of the vendor's annex).
    """
    problem = email_problem(email)
    if problem is not None:
        raise ValidationError(str(problem), problems=[problem], operation=operation)
    assert isinstance(email, str)
    return email


def check_lead(lead: Lead, operation: str) -> None:
    """Check what every operation that writes a lead requires: an e-mail address, and no bad custom field.

    Raises:
        ValidationError: with every problem found.
    """
    problems = [problem] if (problem := email_problem(lead.email)) else []
    problems += [
        Problem(
            "the name of a custom field must begin with a letter or underscore and hold only unaccented "
            "letters, digits, underscores, hyphens and dots",
            field=str(name),
        )
        for name in lead.custom_fields
        if not _NAME.fullmatch(name)
    ]
    if problems:
        text = "; ".join(map(str, problems))
        raise ValidationError(text, problems=problems, operation=operation)


def check_page(page: int, operation: str) -> None:
    """Refuse a page number that is none.

    Raises:
        ValidationError: `page` is below 1.
    """
    if page < 1:
        problem = Problem("pages are counted from 1", field="page", value=page)
        raise ValidationError(str(problem), problems=[problem], operation=operation)


def not_sendable(text: str) -> bool:
    """Whether `text` has characters that XML 1.0 cannot carry: most control characters, lone surrogates."""
    return _NOT_XML.search(text) is not None
