"""The row of a run: as it was read, as it is staged, and its outcome."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from publitrac_async.models import Lead

#: One item of a source; `as_row` makes it a `Row`.
Item: TypeAlias = "Row | Mapping[str, Any] | Lead"

#: Line of a file, number of a row, or ``FILE:LINE`` if the source is several files.
Line: TypeAlias = "int | str"

#: Prefix of the columns that result files add. Sources drop these columns, so result files can be read again.
RESERVED: Final = "publitrac_"
#: Column for the cells of a row beyond its columns, or for the whole text of an unreadable row.
EXTRA: Final = "publitrac_text"


class State(enum.StrEnum):
    """State of a row, or of a lead in the state store.

    A report uses the first six only; each row has exactly one of them.
    """

    OK = "ok"  #: the service processed it
    ACCEPTED = "accepted"  #: the service queued it
    REJECTED = "rejected"  #: the service, or a check before the call, found it invalid
    SKIPPED = "skipped"  #: unchanged since an earlier run, or superseded by a later row with the same key
    UNKNOWN = "unknown"  #: the call may have been applied: its response was lost
    PENDING = "pending"  #: not sent, or not executed; the next run sends it
    SENDING = "sending"  #: state store only: a call is in flight
    RETRY = "retry"  #: state store only: the last call was not executed; `PENDING` in a report


FINAL: Final = (State.OK, State.ACCEPTED, State.REJECTED, State.SKIPPED, State.UNKNOWN, State.PENDING)


@frozen
class Outcome:
    """Outcome of a row.

    Attributes:
        state: the new state of the row.
        kind: name of the error class, ``None`` for success.
        reason: description of the error, without personal data.
        code: error code of the service.
        message: the service's message. It may quote personal data, so only result files contain it, not
            state stores or reports. Comparison ignores it.
    """

    state: State
    kind: str | None = None
    reason: str | None = None
    code: str | None = None
    message: str | None = field(default=None, repr=False, eq=False)


#: Outcome of a row before its call.
PENDING: Final = Outcome(State.PENDING)


@define  # Creating a frozen instance takes twice as long, as with `StagedRow`.
class Row:
    """A row of a source.

    Attributes:
        line: line of a file on which the row begins, or number of the row, from 1; ``FILE:LINE`` if the
            source is several files.
        fields: cells by column, or a `Lead`.
        problem: reason why the row is unusable, if the source finds one.
        position: offset in the source at which this row begins, ``None`` if unknown. Only the source
            interprets it. It is JSON and holds no personal data. Comparison ignores it.
    """

    line: Line
    # Not in the ``repr``, like all personal data: tracebacks may show the locals of frames.
    fields: Mapping[str, Any] | Lead = field(repr=False)
    problem: str | None = None
    position: int | str | None = field(default=None, eq=False)


@define(kw_only=True)  # Twice as fast as a frozen class; a run creates two instances per row.
class StagedRow:
    """A row in `Staging`. Each query of `Staging` loads some attributes; the others keep their defaults.

    Attributes:
        number: number of the row in the source, from 1.
        line: see `Row.line`.
        position: see `Row.position`.
        fields: see `Row.fields`.
        key: business key, ``None`` if the row is rejected.
        content_hash: hash of the content, ``None`` if the row is rejected.
        content: argument for `Sink.send`, ``None`` if the row is rejected.
        opt_outs: consent flags that are set.
        outcome: current outcome; `State.PENDING` before the call.
    """

    number: int
    line: Line = 0
    position: int | str | None = None
    fields: Any = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    content_hash: bytes | None = None
    content: Any = field(default=None, repr=False)
    opt_outs: tuple[str, ...] = ()
    outcome: Outcome = PENDING


@define
class Block:
    """Consecutive rows to be added to `Staging`, column by column: each list has one value per row.

    Attributes:
        first: number of the first row in the source, from 1.
        lines: see `Row.line`.
        positions: see `Row.position`.
        fields: see `Row.fields`.
        keys: see `StagedRow.key`.
        content_hashes: see `StagedRow.content_hash`.
        contents: see `StagedRow.content`.
        opt_outs: number and flags of the rows that have opt-outs.
        rejected: number and outcome of the rejected rows.
    """

    first: int
    lines: list[Line] = field(factory=list)
    positions: list[int | str | None] = field(factory=list)
    fields: list[Any] = field(factory=list, repr=False)
    keys: list[str | None] = field(factory=list, repr=False)
    content_hashes: list[bytes | None] = field(factory=list)
    contents: list[Any] = field(factory=list, repr=False)
    opt_outs: list[tuple[int, Sequence[str]]] = field(factory=list)
    rejected: list[tuple[int, Outcome]] = field(factory=list)

    def __len__(self) -> int:
        return len(self.lines)


def as_row(item: Item, number: int) -> Row:
    """Return `item` as a row.

    Args:
        item: an item of a source.
        number: number of the item in the source, from 1.

    Raises:
        TypeError: the item is neither a row, a mapping nor a lead.
    """
    match item:
        case Row():
            return item
        case Lead():
            return Row(number, item)
        case dict() | Mapping():
            # Copied: database drivers return mappings of their own types.
            return Row(number, dict(item))
        case _:
            raise TypeError(
                f"item {number} of the source is a {type(item).__name__}, not a mapping or a Lead"
            )


def without_reserved(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the cells without the columns that result files add."""
    return {column: value for column, value in cells if not column.startswith(RESERVED)}
