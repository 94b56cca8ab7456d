"""Match the results of a response to the records of the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from publitrac_async.errors import UnexpectedContent
from publitrac_async.marketo.records import PreparedMarketoLead


def by_index(items: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Return the result of each record, ``None`` for a record without one.

    Marketo sends results in input order. Some results also have `seq`, the index of the record.

    Args:
        items: results of the response.
        given: records of the call.

    Raises:
        UnexpectedContent: the results cannot be matched to the records.
    """
    places = [_number(item, "seq") for item in items]
    complete = len(items) == len(given)
    ordered = complete and all(place in (None, at) for at, place in enumerate(places))
    # The same index in every result is meaningless.
    meaningless = complete and len(set(places)) == 1
    if not ordered and not meaningless and any(place is not None for place in places):
        return _placed(items, places, len(given))
    if not complete:
        raise UnexpectedContent(
            f"the response has {len(items)} results for {len(given)} records", maybe_applied=True
        )
    return [*items]


def by_id(items: Sequence[Any], given: Sequence[Any], *, strict: bool = True) -> list[Any]:
    """Return the result of each record by the id of its lead; ``None`` for a record without a result.

    Args:
        items: results of the response.
        given: records of the call, each the id of a lead or a record with ``id``.
        strict: a result with an unknown id belongs to no record, even if all results have unknown ids.

    Raises:
        UnexpectedContent: the results cannot be matched to the records.
    """
    ids = [_number(item, "id") for item in items]
    wanted = [
        _number(record.fields if isinstance(record, PreparedMarketoLead) else record, "id")
        for record in given
    ]
    places = {number: place for place, number in enumerate(wanted)}
    if len(places) == len(wanted) and len(set(ids)) == len(ids) and places.keys() >= {*ids}:
        return _placed(items, [places[each] for each in ids], len(given))
    listed = by_index(items, given)
    if not strict and places.keys().isdisjoint(ids):
        return listed
    # A result without an id is at the position of its record.
    return [
        item if _number(item, "id") in (None, number) else None
        for item, number in zip(listed, wanted, strict=True)
    ]


def _placed(items: Sequence[Any], places: Sequence[int | None], count: int) -> list[Any]:
    found: dict[int, Any] = {}
    for place, item in zip(places, items, strict=True):
        if place is None:
            continue
        if place in found or not 0 <= place < count:
            raise UnexpectedContent("the results cannot be matched to the records", maybe_applied=True)
        found[place] = item
    return [found.get(place) for place in range(count)]


def _number(item: Any, name: str) -> int | None:
    """Return a member of an item as an integer, ``None`` if it is neither a whole number nor digits."""
    value = item.get(name) if isinstance(item, Mapping) else None
    if value is None or isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()):
        return None
    return int(value)
