"""Builds what is sent: bodies in parts that Marketo accepts, and parameters."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, Final

import attrs
import orjson

from publitrac_async.checks import email_problem
from publitrac_async.config import MARKETO_BODY, MARKETO_RECORDS
from publitrac_async.errors import Problem, ValidationError
from publitrac_async.marketo.models import LeadFieldUpdate, NewLeadField, VisitorData
from publitrac_async.models import Unset, vendor_name

#: A name that can stand in a path and in a list that commas separate.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: "Begins with a letter, and only letters, digits or underscores" (Create Lead Fields).
_NEW_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Values that fields can have.
_WRITABLE: Final = (str, int, float, date, NoneType)

Query = tuple[tuple[str, str], ...]


def refuse(problems: Sequence[Problem], operation: str) -> None:
    """Raise what was found, if anything was.

    Raises:
        ValidationError: `problems` is not empty.
    """
    if problems:
        raise ValidationError("; ".join(map(str, problems)), problems=problems, operation=operation)


# Records.


def records(
    inputs: Iterable[Mapping[str, Any]],
    operation: str,
    check: Callable[[Mapping[str, Any]], Iterator[Problem]] = lambda _: iter(()),
) -> list[bytes]:
    """Records as JSON.

    Args:
        inputs: values by the vendor's names.
        operation: for errors.
        check: what else is wrong with a record.

    Raises:
        ValidationError: records that cannot be sent, every problem named with the record's place.
    """
    problems: list[Problem] = []
    bodies: list[bytes] = []
    for place, record in enumerate(inputs):
        body = _dump(dict(record))
        found = [*_value_problems(record, body), *check(record)]
        problems += [_at(place, problem) for problem in found]
        if not found:
            assert body is not None
            bodies.append(body)
    refuse(problems, operation)
    return bodies


def record_problems(record: Mapping[str, Any], action: str) -> Iterator[Problem]:
    """What is wrong with one record of Sync Leads."""
    yield from _value_problems(record, _dump(dict(record)))
    yield from sync_problems(action)(record)


def _at(place: int, problem: Problem) -> Problem:
    where = f"input[{place}]"
    return attrs.evolve(problem, field=f"{where}.{problem.field}" if problem.field else where)


def _value_problems(record: Mapping[str, Any], body: bytes | None) -> Iterator[Problem]:
    """What is wrong with the values of a record, whose JSON is `body`, if it has one."""
    if not record:
        yield Problem("has no fields")
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield Problem("must be a finite number", field=name)
        elif not isinstance(value, _WRITABLE):
            yield Problem(f"cannot be written from {type(value).__name__}", field=name)
        elif body is None and _dump({name: value}) is None:
            yield Problem("holds text or a number that JSON cannot carry", field=name)


def _dump(content: Any) -> bytes | None:
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:
        return None  # Lone surrogates and integers beyond 64 bits. The error's text may show them.


def bodies(records: Sequence[bytes], head: Mapping[str, Any], operation: str) -> list[tuple[bytes, int]]:
    """Bodies with their number of records, each within 300 records and 1 MB; the order is kept.

    Args:
        records: records as JSON.
        head: what stands beside ``input`` in each body; ``None`` is left out.
        operation: for errors.

    Raises:
        ValidationError: a single record is larger than a body may be.
    """
    start = orjson.dumps({name: value for name, value in head.items() if value is not None})
    start = (start[:-1] + b"," if len(start) > 2 else b"{") + b'"input":['
    end = b"]}"
    room = MARKETO_BODY - len(start) - len(end)
    refuse(
        [
            _at(place, Problem(f"is larger than the {room} bytes there is room for"))
            for place, record in enumerate(records)
            if len(record) > room
        ],
        operation,
    )
    parts: list[list[bytes]] = []
    size = 0
    for record in records:
        if not parts or len(parts[-1]) == MARKETO_RECORDS or size + 1 + len(record) > room:
            parts.append([])
            size = -1  # The first record has no comma before it.
        parts[-1].append(record)
        size += 1 + len(record)
    return [(start + b",".join(part) + end, len(part)) for part in parts]


def sync_problems(action: str) -> Callable[[Mapping[str, Any]], Iterator[Problem]]:
    """What is wrong with a record of Sync Leads, as far as the page says."""

    def check(record: Mapping[str, Any]) -> Iterator[Problem]:
        if "id" in record and action != "updateOnly":
            yield Problem("can only be given with the action updateOnly", field="id")
        yield from ascii_problem(record)

    return check


def ascii_problem(record: Mapping[str, Any]) -> Iterator[Problem]:
    """An e-mail address that Marketo does not support ("only ASCII characters")."""
    email = record.get("email")
    if isinstance(email, str) and not email.isascii():
        yield Problem("an e-mail address must be ASCII", field="email", value=email)


def lead_ids(ids: Iterable[int], operation: str) -> list[dict[str, int]]:
    """The input of calls that take ids.

    Raises:
        ValidationError: one is no id.
    """
    return [{"id": lead_id(value, operation)} for value in ids]


def lead_id(value: Any, operation: str, name: str = "id") -> int:
    """`value` if it is an id.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse([Problem("must be a positive integer", field=name)], operation)
    return int(value)


# Fields.


def new_field(field: NewLeadField) -> dict[str, Any]:
    """The record of a field to be created."""
    return _set_values(field)


def new_field_problems(record: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a field to be created."""
    if not _NEW_NAME.fullmatch(record["name"]):
        yield Problem("must begin with a letter and hold only letters, digits and underscores", field="name")
    if not record["displayName"].strip():
        yield Problem("is required", field="displayName")


def field_update(update: LeadFieldUpdate) -> dict[str, Any]:
    """The record of a field to be changed."""
    return _set_values(update)


def _set_values(record: Any) -> dict[str, Any]:
    values = ((vendor_name(name), value) for name, value in attrs.asdict(record).items())
    return {name: value for name, value in values if not isinstance(value, Unset)}


# Forms.


def form_record(
    fields: Mapping[str, Any], visitor: VisitorData | None, cookie: str | None, operation: str
) -> bytes:
    """The one record of Submit Form.

    Raises:
        ValidationError: the e-mail address is missing, a value is ``None`` (refused with code 1003), or
            cannot be written.
    """
    problem = email_problem(fields.get("email"))
    problems = [problem] if problem else []
    problems += [
        Problem("must not be None in a form; leave it out", field=name)
        for name, value in fields.items()
        if value is None
    ]
    problems += [*_value_problems(fields, _dump(dict(fields))), *ascii_problem(fields)]
    refuse(problems, operation)
    record: dict[str, Any] = {"leadFormFields": dict(fields)}
    if visitor is not None:
        data = {
            "pageURL": visitor.page_url,
            "queryString": visitor.query_string,
            "leadClientIpAddress": visitor.lead_client_ip_address,
            "userAgentString": visitor.user_agent_string,
        }
        record["visitorData"] = {name: value for name, value in data.items() if value is not None}
    if cookie is not None:
        record["cookie"] = cookie_value(cookie, operation)
    dumped = _dump(record)
    if dumped is None:
        raise ValidationError("the form holds text or a number that JSON cannot carry", operation=operation)
    return dumped


def cookie_value(cookie: str, operation: str) -> str:
    """The value of a ``_mkto_trk`` cookie.

    Browsers and frameworks hand it over as it is (``id:...&token:...``) or percent-encoded; what travels
    is always encoded exactly once.

    Raises:
        ValidationError: it is empty.
    """
    if not cookie.strip():
        refuse([Problem("is required: the value of the _mkto_trk cookie", field="cookie")], operation)
    if "&" not in cookie and "%26" in cookie:
        return urllib.parse.unquote(cookie)
    return cookie


# Parameters.


def names(fields: Iterable[str], operation: str) -> Query:
    """The parameter `fields`.

    Raises:
        ValidationError: a name is none.
    """
    wanted = [fields] if isinstance(fields, str) else list(fields)
    for name in wanted:
        name_of_field(name, operation)
    return (("fields", ",".join(wanted)),) if wanted else ()


def name_of_field(name: str, operation: str) -> str:
    """`name` if it is the REST name of a field.

    Raises:
        ValidationError: it is not.
    """
    if not _NAME.fullmatch(name):
        refuse(
            [Problem("not the REST name of a field: letters, digits, underscores", field="fields")], operation
        )
    return name


def page_size(batch_size: int | None, operation: str) -> Query:
    """The parameter `batchSize`.

    Raises:
        ValidationError: it is not between 1 and 300.
    """
    if batch_size is None:
        return ()
    if not 1 <= batch_size <= MARKETO_RECORDS:
        refuse([Problem(f"must be between 1 and {MARKETO_RECORDS}", field="batchSize")], operation)
    return (("batchSize", str(batch_size)),)


def filter_values(values: Iterable[str | int], operation: str) -> list[str]:
    """The values of a filter, each once, in the order they came.

    Raises:
        ValidationError: there are none; one is empty, or holds a comma: Marketo splits the values at
            commas and documents no way to escape one.
    """
    texts = list(dict.fromkeys(str(value) for value in ([values] if isinstance(values, str) else values)))
    problems = []
    if not texts:
        problems.append(Problem("at least one value is required", field="filterValues"))
    for text in texts:
        if not text:
            problems.append(Problem("must not be empty", field="filterValues"))
        elif "," in text:
            reason = "holds a comma, at which Marketo splits values; it documents no way to escape one"
            problems.append(Problem(reason, field="filterValues", value=text))
    refuse(problems, operation)
    return texts


def moment(name: str, value: datetime | None) -> Query:
    """A parameter that is a time. One without a zone is taken for UTC."""
    if value is None:
        return ()
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return ((name, aware.isoformat(timespec="seconds")),)
