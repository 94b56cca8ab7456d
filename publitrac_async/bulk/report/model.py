"""Model of the report: every row in exactly one state."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field, frozen

from publitrac_async.bulk.metrics import Bucket
from publitrac_async.bulk.rows import Line, State
from publitrac_async.bulk.transform import CellWarning
from publitrac_async.bulk.verify import Verification
from publitrac_async.config import Rate

#: Reason for the end of a run that was interrupted while it read its source.
INTERRUPTED_READING: Final = "interrupted while reading the source; no row was sent"


class ExitStatus(enum.IntEnum):
    """Exit status of a command."""

    OK = 0  #: complete
    ABORTED = 1  #: stopped early
    USAGE = 2  #: did not start: options, configuration, source or state store
    REJECTED = 3  #: complete; some rows were rejected, or have an unknown outcome
    IN_USE = 4  #: did not start: another run uses the state store
    INTERRUPTED = 130  #: ended by a signal


@frozen(kw_only=True)
class Rejection:
    """A rejected row.

    Attributes:
        line: line of the source.
        reason: description of the error, without personal data.
        code: error code of the service, ``None`` if it gave none.
    """

    line: Line
    reason: str
    code: str | None


@frozen(kw_only=True)
class ReasonCount:
    """Rows that are rejected, unknown or pending for the same reason.

    Attributes:
        state: state of the rows.
        reason: description, without personal data.
        count: number of rows.
        lines: lines of the first rows.
    """

    state: State
    reason: str
    count: int
    lines: tuple[Line, ...]


@frozen(kw_only=True)
class Duplicate:
    """A row that was skipped because a later row has the same key.

    Attributes:
        line: line of the source.
        superseded_by: line of the later row.
    """

    line: Line
    superseded_by: Line


@frozen(kw_only=True)
class Report:
    """Report of a run.

    Attributes:
        source: name of the source.
        sink: name of the sink.
        rows: rows of the source. The next six figures add up to it.
        ok: rows that the service processed.
        accepted: rows that the service queued; it processes them shortly after.
        rejected: rows that the service, or a check before the call, found invalid.
        skipped: rows that needed no call: unchanged since an earlier run, or superseded by a later row.
        unknown: rows that may have been applied: the response was lost.
        pending: rows that were not sent, or not executed; the next run with the same state store sends them.
        duplicates: skipped rows that were superseded by a later row.
        stopped: reason why the run ended before its last row, ``None`` at its regular end.
        source_changed: true if the source has changed since the last run with this state store, ``None`` if
            unknown.
        errors: number of rows by kind of error.
        reasons: reasons for rejected, unknown and pending rows, the most frequent first, at most 50.
        warnings: cells that look damaged, by column and kind; they were sent unchanged.
        withheld: number of rows whose "no" was not sent, by consent flag.
        pending_reasons: number of pending rows by the error of their last call, the most frequent ones. For
            rows that were never sent, see `stopped`.
        rejections: the first rejected rows, at most 100. The result files list all.
        superseded: the first duplicates, at most 100. The result files list all.
        verification: result of reading back, ``None`` without it.
        results_dir: folder of the result files, ``None`` without them.
        started_at: start of the run.
        seconds: duration.
        rate_limit: limit on the requests, ``None`` if unknown. In `as_dict` it is a number, per second.
        timeline: outcomes over time.
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
    reasons: tuple[ReasonCount, ...] = ()
    warnings: tuple[CellWarning, ...] = ()
    withheld: Mapping[str, int] = field(factory=dict)
    pending_reasons: Mapping[str, int] = field(factory=dict)
    rejections: tuple[Rejection, ...]
    superseded: tuple[Duplicate, ...]
    verification: Verification | None = None
    results_dir: Path | None
    started_at: dt.datetime
    seconds: float
    rate_limit: Rate | None = None
    timeline: tuple[Bucket, ...] = field(repr=False)

    @property
    def counts(self) -> dict[State, int]:
        """Number of rows by state."""
        return {
            State.OK: self.ok,
            State.ACCEPTED: self.accepted,
            State.REJECTED: self.rejected,
            State.SKIPPED: self.skipped,
            State.UNKNOWN: self.unknown,
            State.PENDING: self.pending,
        }

    @property
    def exit_code(self) -> ExitStatus:
        """Exit status for a command."""
        if self.stopped is not None:
            return ExitStatus.INTERRUPTED if self.stopped.startswith("interrupted") else ExitStatus.ABORTED
        if self.pending:
            return ExitStatus.ABORTED
        return ExitStatus.REJECTED if self.rejected or self.unknown else ExitStatus.OK

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, without the timeline."""
        content = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "timeline")
        content["results_dir"] = None if self.results_dir is None else str(self.results_dir)
        content["started_at"] = self.started_at.isoformat(timespec="seconds")
        content["seconds"] = round(self.seconds, 3)
        content["rate_limit"] = None if self.rate_limit is None else self.rate_limit.per_second
        content["exit_code"] = int(self.exit_code)
        return content
