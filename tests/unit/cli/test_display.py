from __future__ import annotations

import datetime as dt
import io
import re
from typing import Any

import pytest

from publitrac_async.bulk import ExitStatus, Phase, Progress, Report, State, Verification
from publitrac_async.bulk.metrics import format_duration
from publitrac_async.bulk.report.model import Duplicate, ReasonCount
from publitrac_async.cli.bar import Bar
from publitrac_async.cli.display import Lines, describe
from publitrac_async.cli.exits import exit_status
from publitrac_async.cli.summary import lines_of


def progress(**values: Any) -> Progress:
    settings: dict[str, Any] = {
        "phase": Phase.SENDING,
        "done": 340,
        "total": 1000,
        "counts": {State.ACCEPTED: 340},
        "rate": 34.0,
        "limiter_wait": None,
        "elapsed": 10.0,
        "remaining": 19.4,
    }
    return Progress(**settings | values)


def report(**values: Any) -> Report:
    settings: dict[str, Any] = {
        "source": "leads.csv",
        "sink": "v2",
        **dict.fromkeys(("ok", "accepted", "rejected", "skipped", "unknown", "pending", "duplicates"), 0),
        "errors": {},
        "rejections": (),
        "superseded": (),
        "results_dir": None,
        "started_at": dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
        "seconds": 61.0,
        "timeline": (),
    }
    settings |= values
    rows = sum(settings[state] for state in ("ok", "accepted", "rejected", "skipped", "unknown", "pending"))
    return Report(**{"rows": rows} | settings)


def verification(**values: Any) -> Verification:
    settings: dict[str, Any] = {"checked": 10, "processed": 10, "differs": 0, "missing": 0, "read": 10}
    return Verification(**settings | {"deviations": ()} | values)


def test_a_line_every_five_seconds_and_at_every_change() -> None:
    now = 0.0
    written: list[str] = []
    lines = Lines(clock=lambda: now, write=written.append)
    lines(progress(phase=Phase.READING, done=0, total=None))
    for second in range(13):
        now = float(second)
        lines(progress(done=second, rate=0.0, remaining=None))
    lines(progress(done=1000))
    lines(progress(phase=Phase.FINISHED, done=1000))
    assert [line.split(",")[0] for line in written] == [
        "reading: 0 rows",
        "sending: 0 of 1",
        "sending: 5 of 1",
        "sending: 10 of 1",
        "sending: 1",
    ]


def test_a_line_shows_rate_wait_and_end() -> None:
    assert describe(progress(limiter_wait=0.5)) == (
        "sending: 340 of 1,000, 34.0 per second, 0.50 s waiting for the rate limit, 0:19 left"
    )
    assert describe(progress(rate=0.0, remaining=None)) == "sending: 340 of 1,000"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36061, "10:01:01")]
)
def test_durations_are_formatted_in_hours_minutes_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "sandbox", "status"),
    [
        ({"accepted": 5}, False, ExitStatus.OK),
        ({"accepted": 5, "rejected": 1}, False, ExitStatus.REJECTED),
        ({"accepted": 5, "rejected": 1}, True, ExitStatus.OK),
        ({"accepted": 5, "unknown": 1}, False, ExitStatus.REJECTED),
        ({"accepted": 5, "unknown": 1}, True, ExitStatus.REJECTED),
        ({"accepted": 5, "pending": 1}, False, ExitStatus.ABORTED),
        ({"accepted": 5, "pending": 1}, True, ExitStatus.ABORTED),
        ({"stopped": "AuthenticationError: no"}, True, ExitStatus.ABORTED),
        ({"stopped": "interrupted"}, False, ExitStatus.INTERRUPTED),
        ({"accepted": 5, "verification": verification()}, False, ExitStatus.OK),
        ({"accepted": 5, "verification": verification(differs=1)}, True, ExitStatus.ABORTED),
        ({"accepted": 5, "verification": verification(missing=1)}, False, ExitStatus.ABORTED),
        ({"accepted": 5, "verification": verification(stopped="ServerError: no")}, True, ExitStatus.ABORTED),
    ],
)
def test_the_exit_status_follows_the_outcomes(values: dict[str, Any], sandbox: bool, status: int) -> None:
    assert exit_status(report(**values), sandbox=sandbox) == status


def test_the_summary_adds_up_and_cuts_long_lists() -> None:
    reasons = (
        ReasonCount(state=State.REJECTED, reason="revenue: not a number", count=149, lines=(2, 3, 4)),
        ReasonCount(state=State.REJECTED, reason="email: several", count=1, lines=(9,)),
        ReasonCount(state=State.PENDING, reason="no connection", count=7, lines=(5, 6, 7)),
    )
    superseded = tuple(Duplicate(line=line, superseded_by=900) for line in range(200, 230))
    lines = list(
        lines_of(
            report(accepted=1000, rejected=150, skipped=40, duplicates=30, pending=7, stopped="interrupted",
                   reasons=reasons, superseded=superseded),
            sandbox=False,
            state_store=None,
            idempotent=True,
        )
    )  # fmt: skip
    assert "    1,197  total" in lines
    assert "       40  skipped (30 superseded, 10 unchanged since an earlier run)" in lines
    assert "  149 rows (lines 2, 3, 4, ...): revenue: not a number" in lines
    assert "  line 9: email: several" in lines
    assert lines[lines.index("Not sent:") + 1] == "  7 rows (lines 5, 6, 7, ...): no connection"
    assert lines.count("  and 10 more") == 1
    assert "Stopped before the last row: interrupted." in lines


def test_rows_that_are_left_have_the_next_step() -> None:
    left = report(pending=2, pending_reasons={"QuotaExhausted: code 607": 2})
    lines = list(lines_of(left, sandbox=False, state_store=None, idempotent=True))
    assert lines[-2:] == [
        "2 rows are pending because of QuotaExhausted: code 607.",
        "Next: run the command again tomorrow.",
    ]


@pytest.mark.parametrize("idempotent", [True, False])
def test_rows_that_are_not_sent_again_have_the_next_step(idempotent: bool) -> None:
    unknown = report(sink="marketo", unknown=2)
    lines = list(lines_of(unknown, sandbox=False, state_store="s.sqlite", idempotent=idempotent))
    step = "look them up at Marketo, then run `publitrac-async reconcile s.sqlite`."
    assert any(line.endswith(step) for line in lines) is not idempotent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_turns_the_colors_of_the_bar_off(
    variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with Bar() as bar:
        bar(progress())
    shown = terminal.getvalue()
    assert "340 of 1,000" in shown
    assert bool(re.search(r"\x1b\[[\d;]*(3[0-7]|38|9[0-7])[\d;]*m", shown)) is colored
