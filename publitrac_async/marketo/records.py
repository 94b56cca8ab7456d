"""Records that are written: checked, as JSON, in bodies that Marketo accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import orjson
from attrs import frozen

from publitrac_async.checks import refuse
from publitrac_async.config import MARKETO_BODY, MARKETO_RECORDS
from publitrac_async.errors import Problem
from publitrac_async.marketo.values import value_problems, write_json

Record: TypeAlias = Mapping[str, Any]
#: Finds what is wrong with a record besides its values.
Check: TypeAlias = Callable[[Record], Iterator[Problem]]


@frozen
class Batch:
    """The body of one call, and the records in it.

    Attributes:
        content: the body.
        records: the records as they were given.
    """

    content: bytes
    records: Sequence[Any]


def batches(
    records: Iterable[Record],
    operation: str,
    *,
    head: Mapping[str, Any] | None = None,
    check: Check = lambda _: iter(()),
    given: Sequence[Any] | None = None,
) -> list[Batch]:
    """Return the bodies for records, each within 300 records and 1 MB, in the order of the records.

    Args:
        records: values by the vendor's names.
        operation: for errors.
        head: members beside ``input`` in each body; ``None`` is left out.
        check: finds further problems of a record.
        given: what the caller gave for each record, if that is not the record.

    Raises:
        ValidationError: records that cannot be sent, every problem with the record's place.
    """
    inputs = list(records)
    written = write_records(inputs, operation, check)
    return split(written, given or inputs, head or {}, operation)


def write_records(
    records: Sequence[Record], operation: str, check: Check = lambda _: iter(())
) -> list[bytes]:
    """Return records as JSON.

    Raises:
        ValidationError: records that cannot be sent, every problem with the record's place.
    """
    problems: list[Problem] = []
    written: list[bytes] = []
    for place, record in enumerate(records):
        body, found = write_record(record, check)
        problems += [_at(place, problem) for problem in found]
        if body is not None:
            written.append(body)
    refuse(problems, operation)
    return written


def write_record(record: Record, check: Check) -> tuple[bytes | None, list[Problem]]:
    """Return a record as JSON, or ``None`` and its problems."""
    body = write_json(dict(record))
    problems = [*value_problems(record, body), *check(record)]
    return (None if problems else body), problems


def split(
    written: Sequence[bytes], given: Sequence[Any], head: Mapping[str, Any], operation: str
) -> list[Batch]:
    """Return the bodies for records, each within 300 records and 1 MB, in the order of the records.

    Args:
        written: the records as JSON.
        given: the same records as the caller gave them.
        head: members beside ``input`` in each body; ``None`` is left out.
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
            for place, record in enumerate(written)
            if len(record) > room
        ],
        operation,
    )
    parts: list[list[bytes]] = []
    size = 0
    for record in written:
        if not parts or len(parts[-1]) == MARKETO_RECORDS or size + 1 + len(record) > room:
            parts.append([])
            size = -1  # The first record has no comma before it.
        parts[-1].append(record)
        size += 1 + len(record)
    found: list[Batch] = []
    place = 0
    for part in parts:
        found.append(Batch(start + b",".join(part) + end, given[place : place + len(part)]))
        place += len(part)
    return found


def sync_check(action: str) -> Check:
    """Return the check for records of Sync Leads, as far as Marketo's page says."""

    def check(record: Record) -> Iterator[Problem]:
        if "id" in record and action != "updateOnly":
            yield Problem("can only be given with the action updateOnly", field="id")
        yield from ascii_problem(record)

    return check


def ascii_problem(record: Record) -> Iterator[Problem]:
    """Find an e-mail address that Marketo does not support ("only ASCII characters")."""
    email = record.get("email")
    if isinstance(email, str) and not email.isascii():
        yield Problem("an e-mail address must be ASCII", field="email", value=email)


def _at(place: int, problem: Problem) -> Problem:
    where = f"input[{place}]"
    return attrs.evolve(problem, field=f"{where}.{problem.field}" if problem.field else where)
