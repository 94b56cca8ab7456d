"""A row of the input, and what becomes of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from publitrac_async.models import Lead

#: What the engine takes from any iterable.
Item: TypeAlias = "Row | Mapping[str, Any] | Lead"

#: Columns that result files add begin like this. Sources leave them out: results can be read again.
RESERVED: Final = "publitrac_"
#: Holds what is left of a row that does not fit its columns, or the whole text of one that cannot be read.
EXTRA: Final = "publitrac_text"


class State(enum.StrEnum):
    """Where a row, or a lead in the ledger, stands.

    In a report only the first six occur, each row in exactly one of them.
    """

    OK = "ok"  #: the service has processed it
    ACCEPTED = "accepted"  #: the service has queued it
    REJECTED = "rejected"  #: it cannot be accepted as it is
    SKIPPED = "skipped"  #: unchanged since an earlier run, or a later row has the same key
    UNKNOWN = "unknown"  #: it may have been applied: the answer was lost
    PENDING = "pending"  #: not sent, or not executed; the next run sends it
    SENDING = "sending"  #: ledger only: the call is under way
    RETRY = "retry"  #: ledger only: the last call was not executed; `PENDING` in a report


FINAL: Final = (State.OK, State.ACCEPTED, State.REJECTED, State.SKIPPED, State.UNKNOWN, State.PENDING)


@frozen
class Row:
    """A row as it was read.

    Attributes:
        line: where it stands: the line of a file on which it begins, or its number, from 1.
        fields: its cells by column, or a ready lead.
        problem: why it cannot be used, if that shows before its fields are looked at.
        position: where the source has to begin reading for this row to come first, ``None`` if it cannot
            say. It means something to its source only, can be written as JSON and tells nothing about the
            lead. Rows that differ in nothing else are equal.
    """

    line: int
    fields: Mapping[str, Any] | Lead
    problem: str | None = None
    position: int | str | None = field(default=None, eq=False)


def as_row(item: Item, number: int) -> Row:
    """`item` as a row, which is the `number`-th.

    Raises:
        TypeError: it is neither a row, a mapping nor a lead.
    """
    match item:
        case Row():
            return item
        case Lead():
            return Row(number, item)
        case Mapping():
            # A plain dict, whatever kind of record a database hands out.
            return Row(number, dict(item))
        case _:
            raise TypeError(
                f"item {number} of the source is a {type(item).__name__}, not a mapping or a Lead"
            )


def without_reserved(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The cells of a row, without columns that an earlier run's result files added."""
    return {column: value for column, value in cells if not column.startswith(RESERVED)}
