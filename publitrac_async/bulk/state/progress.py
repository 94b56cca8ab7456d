"""Progress of the current or last run of a shared state store, for display."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from publitrac_async.bulk.rows import Line, Outcome, State

#: States of rows that failed.
FAILED = (State.REJECTED, State.UNKNOWN, State.RETRY)


@frozen
class Failure:
    """Rows that failed for the same reason.

    Attributes:
        outcome: their outcome; its reason holds no personal data.
        lines: their lines in the source.
    """

    outcome: Outcome
    lines: tuple[Line, ...]


@frozen(kw_only=True)
class RunProgress:
    """Progress of a run.

    Attributes:
        state_store: name of the state store.
        run: id of the run; the logs of workers have it as ``run``.
        destination: destination of the rows.
        phase: ``"reading"``, ``"sending"``, ``"stopped"``, ``"ended"``, or ``"abandoned"``: the process that
            started the run has ended, and no worker has claimed a chunk. The same run resumes it.
        begun: time of the start, UTC.
        ended: time of the regular end, UTC, ``None`` without one.
        stopped: reason why the run was stopped, ``None`` if it was not.
        starter_alive: true while the process that started the run has the state store open.
        rows: number of rows to be sent, ``None`` while unknown and for a run without workers.
        refused: number of rows that were rejected before the first call.
        in_flight: number of rows whose call is in flight.
        counts: number of rows by the outcome of their last call.
        claimed_chunks: number of chunks that workers have claimed.
        rate: rows per second, over the last ten to twenty seconds.
    """

    state_store: str
    run: str
    destination: str | None
    phase: str
    begun: dt.datetime
    ended: dt.datetime | None
    stopped: str | None
    starter_alive: bool
    rows: int | None
    refused: int
    in_flight: int
    counts: Mapping[State, int] = field(factory=dict)
    claimed_chunks: int
    rate: float

    @property
    def called(self) -> int:
        """Number of rows with an outcome."""
        return sum(self.counts.values())

    @property
    def queued(self) -> int | None:
        """Number of rows that wait for their call, ``None`` if unknown."""
        return None if self.rows is None else max(0, self.rows - self.called - self.in_flight)

    @property
    def failed(self) -> int:
        """Number of rows that were rejected, or whose last call failed or has an unknown outcome."""
        return self.refused + sum(self.counts.get(state, 0) for state in FAILED)

    def as_dict(self) -> dict[str, Any]:
        """Return the progress as JSON values."""
        return {
            "state_store": self.state_store,
            "run": self.run,
            "destination": self.destination,
            "phase": self.phase,
            "begun": self.begun.isoformat(),
            "ended": None if self.ended is None else self.ended.isoformat(),
            "stopped": self.stopped,
            "starter_alive": self.starter_alive,
            "rows": self.rows,
            "queued": self.queued,
            "in_flight": self.in_flight,
            "failed": self.failed,
            "refused": self.refused,
            "counts": {state.value: rows for state, rows in self.counts.items()},
            "claimed_chunks": self.claimed_chunks,
            "rate": round(self.rate, 1),
        }


def failures_of(rows: Iterable[tuple[Line, Outcome]]) -> list[Failure]:
    """Group failed rows by outcome."""
    lines: dict[Outcome, list[Line]] = {}
    for line, outcome in rows:
        if outcome.state in FAILED:
            lines.setdefault(outcome, []).append(line)
    return [Failure(outcome, tuple(each)) for outcome, each in lines.items()]


def failures_to_json(failures: Sequence[Failure]) -> str:
    """Return failures as JSON; an empty text if there are none."""
    return "" if not failures else json.dumps([_values(each) for each in failures])


def failures_from_json(text: str | bytes) -> Iterator[Failure]:
    """Iterate over failures in JSON.

    Raises:
        ValueError: the text is not the JSON of failures.
        TypeError: likewise.
    """
    for state, *texts, lines in json.loads(text):
        kind, reason, code = texts
        if not all(isinstance(each, str | None) for each in texts):
            raise TypeError("not a text")
        if not all(isinstance(line, str | int) for line in lines):
            raise TypeError("not a line")
        yield Failure(Outcome(State(state), kind, reason, code), tuple(lines))


def _values(failure: Failure) -> list[Any]:
    outcome = failure.outcome
    return [outcome.state.value, outcome.kind, outcome.reason, outcome.code, failure.lines]
