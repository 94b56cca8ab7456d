"""The account of a run: every row in exactly one state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from publitrac_async.bulk.confirm import Confirmation
from publitrac_async.bulk.progress import Stretch
from publitrac_async.bulk.rows import State


@frozen(kw_only=True)
class Rejection:
    """A row that cannot be accepted as it is.

    Attributes:
        line: of the input.
        reason: what is wrong, in words without personal data.
        code: the service's code, ``None`` if it gave none.
    """

    line: int
    reason: str
    code: str | None


@frozen(kw_only=True)
class Duplicate:
    """A row that was skipped because a later one means the same lead."""

    line: int
    superseded_by: int


@frozen(kw_only=True)
class Report:
    """What became of the rows of a run.

    Attributes:
        source: name of the input.
        sink: name of the destination.
        rows: of the input. The six figures below add up to it.
        ok: processed by the service.
        accepted: queued by the service, which processes them a little later.
        rejected: cannot be accepted as they are.
        skipped: needed no call: unchanged since an earlier run, or superseded by a later row.
        unknown: may have been applied, the answer was lost.
        pending: not sent or not executed; the next run with the same ledger sends them.
        duplicates: of the skipped ones, those superseded by a later row.
        stopped: why the run ended before its last row, ``None`` if it did not.
        source_changed: whether the input is another one than in the last run with this ledger, ``None`` if
            that cannot be told.
        errors: rows by kind of error.
        rejections: the first rejected rows, at most 100. The result files have all.
        superseded: the first duplicates, at most 100. The result files have all.
        confirmation: what was read back, ``None`` if nothing was.
        results_dir: folder of the result files, ``None`` if none were asked for.
        started_at: when the run began.
        seconds: how long it took.
        rate_limit: calls a second that were allowed, ``None`` if that is not known.
        course: how it went over time.
    """

    source: str = ""
    sink: str
    rows: int
    ok: int
    accepted: int
    rejected: int
    skipped: int
    unknown: int
    pending: int
    duplicates: int
    stopped: str | None = None
    source_changed: bool | None = None
    errors: Mapping[str, int]
    rejections: tuple[Rejection, ...]
    superseded: tuple[Duplicate, ...]
    confirmation: Confirmation | None = None
    results_dir: Path | None
    started_at: dt.datetime
    seconds: float
    rate_limit: int | None = None
    course: tuple[Stretch, ...] = field(repr=False)

    @property
    def counts(self) -> dict[State, int]:
        """The rows by state."""
        return {
            State.OK: self.ok,
            State.ACCEPTED: self.accepted,
            State.REJECTED: self.rejected,
            State.SKIPPED: self.skipped,
            State.UNKNOWN: self.unknown,
            State.PENDING: self.pending,
        }

    @property
    def exit_code(self) -> int:
        """For a command: 0 all fine, 3 rows rejected or unknown, 130 interrupted, 1 otherwise."""
        if self.stopped is not None:
            return 130 if self.stopped == "interrupted" else 1
        if self.pending:
            return 1
        return 3 if self.rejected or self.unknown else 0

    def as_dict(self) -> dict[str, Any]:
        """The report in values that JSON knows; without the course."""
        content = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "course")
        content["results_dir"] = None if self.results_dir is None else str(self.results_dir)
        content["started_at"] = self.started_at.isoformat(timespec="seconds")
        content["seconds"] = round(self.seconds, 3)
        content["exit_code"] = self.exit_code
        return content
