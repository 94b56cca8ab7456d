"""Write records: check them, encode them as JSON, split them into batches that Marketo accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import orjson
from attrs import field, frozen

from publitrac_async.checks import refuse
from publitrac_async.config import MARKETO_BODY, MARKETO_RECORDS
from publitrac_async.errors import Problem
from publitrac_async.marketo.checks import Check, Values, sync_check
from publitrac_async.marketo.values import PLAIN, value_problems, write_json

#: Bytes of records in a body; the rest is for its other members.
ROOM: Final = MARKETO_BODY - 1000


@frozen
class PreparedMarketoLead:
    """Lead that was checked and encoded for `MarketoClient.sync_leads`.

    Attributes:
        body: the lead as JSON.
    """

    body: bytes = field(repr=False)

    @property
    def fields(self) -> dict[str, Any]:
        """Return the values by REST names, as JSON values."""
        fields: dict[str, Any] = orjson.loads(self.body)
        return fields


def prepare_lead(lead: Values, *, action: str = "createOrUpdate") -> PreparedMarketoLead:
    """Check and encode a lead, to send it later or several times.

    Args:
        lead: values by REST names.
        action: see `MarketoClient.sync_leads`.

    Raises:
        ValidationError: the lead cannot be sent; the error lists every problem.
    """
    body, problems = write_record(lead, sync_check(action))
    refuse(problems, None)
    assert body is not None
    return PreparedMarketoLead(body)


@frozen
class Batch:
    """Body of one call, and its records.

    Attributes:
        content: the body.
        records: the records, as given by the caller.
    """

    content: bytes
    records: Sequence[Any]


def batches(
    records: Iterable[Values | PreparedMarketoLead],
    operation: str,
    *,
    head: Mapping[str, Any] | None = None,
    check: Check = lambda _: (),
    given: Sequence[Any] | None = None,
) -> list[Batch]:
    """Return batches of records, each within 300 records and 1 MB, in the order of the records.

    Args:
        records: values by the vendor's names.
        operation: name of the operation in errors.
        head: members besides ``input`` in each body; ``None`` is omitted.
        check: finds further problems of a record.
        given: argument of the caller for each record, if it differs from the record.

    Raises:
        ValidationError: records cannot be sent; every problem has the index of its record.
    """
    inputs = list(records)
    written = write_records(inputs, operation, check)
    return split(written, given or inputs, head or {}, operation)


def write_records(
    records: Sequence[Values | PreparedMarketoLead], operation: str, check: Check = lambda _: ()
) -> list[bytes]:
    """Return records as JSON.

    Raises:
        ValidationError: records cannot be sent; every problem has the index of its record.
    """
    problems: list[Problem] = []
    written: list[bytes] = []
    for place, record in enumerate(records):
        if isinstance(record, PreparedMarketoLead):
            written.append(record.body)
            continue
        body, found = write_record(record, check)
        problems += [_at(place, problem) for problem in found]
        if body is not None:
            written.append(body)
    refuse(problems, operation)
    return written


def write_record(record: Values, check: Check, *, sort: bool = False) -> tuple[bytes | None, list[Problem]]:
    """Return a record as JSON, or ``None`` and its problems.

    Args:
        record: values by the vendor's names.
        check: finds further problems.
        sort: see `write_json`.

    Raises:
        TypeError: `record` is not a mapping.
    """
    if type(record) is not dict and not isinstance(record, Mapping):
        raise TypeError(f"a record for Marketo must be a mapping, not {type(record).__name__}")
    body = write_json(record if type(record) is dict else dict(record), sort=sort)
    problems = list(check(record))
    # Most records have only plain values, whose problems the JSON encoder finds. With a check of each value,
    # a call of Sync Leads takes 14 % longer.
    if body is None or not record or not PLAIN.issuperset(map(type, record.values())):
        problems[:0] = value_problems(record, body)
    return (None if problems else body), problems


def split(
    written: Sequence[bytes], given: Sequence[Any], head: Mapping[str, Any], operation: str
) -> list[Batch]:
    """Return batches of records, each within 300 records and 1 MB, in the order of the records.

    Args:
        written: the records as JSON.
        given: the same records as given by the caller.
        head: members besides ``input`` in each body; ``None`` is omitted.
        operation: name of the operation in errors.

    Raises:
        ValidationError: a single record is larger than a body may be.
    """
    start = orjson.dumps({name: value for name, value in head.items() if value is not None})
    start = (start[:-1] + b"," if len(start) > 2 else b"{") + b'"input":['
    end = b"]}"
    room = MARKETO_BODY - len(start) - len(end)
    refuse(
        [
            _at(place, Problem(f"has more than {room} bytes as JSON, the limit of a call"))
            for place, record in enumerate(written)
            if len(record) > room
        ],
        operation,
    )
    return [
        Batch(start + b",".join(written[first:after]) + end, given[first:after])
        for first, after in parts([len(record) for record in written], room)
    ]


def parts(sizes: Sequence[int], room: int = ROOM) -> list[tuple[int, int]]:
    """Return the bounds of each body: index of its first record, and index after its last.

    A body has at most 300 records.

    Args:
        sizes: bytes of each record.
        room: bytes of records in a body.
    """
    found: list[tuple[int, int]] = []
    first, size = 0, -1  # The first record has no comma before it.
    for place, length in enumerate(sizes):
        if place > first and (place - first == MARKETO_RECORDS or size + 1 + length > room):
            found.append((first, place))
            first, size = place, -1
        size += 1 + length
    return [*found, (first, len(sizes))] if sizes else []


def _at(place: int, problem: Problem) -> Problem:
    where = f"input[{place}]"
    return attrs.evolve(problem, field=f"{where}.{problem.field}" if problem.field else where)
