"""Checks of records before sending."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from publitrac_async.checks import email_problem
from publitrac_async.errors import Problem

Values: TypeAlias = Mapping[str, Any]
#: Function that finds problems of a record besides those of its values.
Check: TypeAlias = Callable[[Values], Iterable[Problem]]

#: "Begins with a letter, and only letters, digits or underscores" (Create Lead Fields).
_NEW_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def sync_check(action: str) -> Check:
    """Return the check for records of Sync Leads, according to Marketo's page."""

    def check(record: Values) -> list[Problem]:
        problems = ascii_problem(record)
        if "id" in record and action != "updateOnly":
            problems.insert(0, Problem("can only be given with the action updateOnly", field="id"))
        return problems

    return check


def ascii_problem(record: Values) -> list[Problem]:
    """Return the problem of an e-mail address that Marketo does not support ("only ASCII characters")."""
    email = record.get("email")
    if isinstance(email, str) and not email.isascii():
        return [Problem("an e-mail address must be ASCII", field="email", value=email)]
    return []


def address_problem(email: object) -> list[Problem]:
    """Return the problem of an e-mail address, without PUBLITRAC's code; an empty list without one."""
    problem = email_problem(email)
    return [attrs.evolve(problem, code=None)] if problem else []


def new_field_problems(record: Values) -> Iterator[Problem]:
    """Find the problems of a field to create."""
    if not _NEW_NAME.fullmatch(record["name"]):
        yield Problem("must begin with a letter and have only letters, digits and underscores", field="name")
    if not record["displayName"].strip():
        yield Problem("is required", field="displayName")
