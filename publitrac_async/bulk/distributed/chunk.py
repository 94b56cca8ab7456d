"""Chunks: rows by reference, for a worker.

A chunk holds neither rows nor credentials. The worker reads the rows from the same source, and a hash shows
that they have not changed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import attrs
from attrs import field, frozen

from publitrac_async.bulk.distributed.ranges import RowRange
from publitrac_async.bulk.mapping import ColumnMapping
from publitrac_async.bulk.outcomes import ErrorBudget
from publitrac_async.converters import custom_to_wire


@frozen(kw_only=True)
class Chunk:
    """Rows of a job that one worker sends, serializable as JSON.

    Attributes:
        job: id of the job.
        number: number of the chunk, from 0.
        source: reference to the source.
        rows: range of the rows in the source.
        left_out: numbers of rows that need no call.
        rows_hash: hash of the contents of all rows.
        destination: destination of the rows.
        mapping: mapping of columns to fields.
        opt_outs: consent flags by number of the row, including those of superseded rows.
        error_budget: limits of failures.
    """

    job: str
    number: int
    source: dict[str, Any]
    rows: RowRange
    left_out: tuple[int, ...]
    rows_hash: str
    destination: str
    mapping: ColumnMapping | None
    opt_outs: Mapping[int, Sequence[str]] = field(factory=dict)
    error_budget: ErrorBudget

    def to_json(self) -> str:
        """Return the chunk as JSON. Dates in a mapping become text, which a lead treats alike."""
        return json.dumps(attrs.asdict(self), default=_text)

    @classmethod
    def from_json(cls, text: str) -> Chunk:
        """Return the chunk from JSON."""
        content = json.loads(text)
        mapping = content["mapping"]
        return cls(
            **content
            | {
                "rows": RowRange(**content["rows"]),
                "left_out": tuple(content["left_out"]),
                "opt_outs": {int(number): names for number, names in content["opt_outs"].items()},
                "mapping": None if mapping is None else ColumnMapping(**mapping),
                "error_budget": ErrorBudget(**content["error_budget"]),
            }
        )


def _text(value: object) -> str | None:
    return custom_to_wire(value) if isinstance(value, dt.date) else str(value)


def rows_hash(content_hashes: Iterable[bytes | None]) -> str:
    """Return one hash for several rows.

    Args:
        content_hashes: hash of each row, ``None`` for rejected rows.
    """
    total = blake2b(digest_size=16)
    for each in content_hashes:
        total.update(each or b"\0" * 16)
    return total.hexdigest()
