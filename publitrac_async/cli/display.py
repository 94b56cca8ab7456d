"""Display of progress: a bar on a terminal, a line every few seconds elsewhere, JSON lines on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import attrs

from publitrac_async.bulk import Phase, Progress
from publitrac_async.bulk.metrics import format_duration
from publitrac_async.cli.console import to_log, to_stderr, to_stdout

#: Seconds between lines.
_PAUSE: Final = 5.0


@contextmanager
def display_for(*, as_json: bool, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """Yield the progress listener of a run; use it while this is open."""
    if as_json and not quiet:
        yield write_json
    elif sys.stderr.isatty() and not quiet:
        from publitrac_async.cli.bar import Bar  # noqa: PLC0415  (rich loads slowly)

        lines = Lines(write=to_log)  # A log file gets lines, not a bar.
        with Bar() as bar:

            def show(progress: Progress) -> None:
                bar(progress)
                lines(progress)

            yield show
    else:
        yield Lines()


def write_json(progress: Progress) -> None:
    """Write the progress as one line of JSON."""
    event: dict[str, Any] = {"event": "progress"} | attrs.asdict(progress)
    for name in ("rate", "limiter_wait", "elapsed", "remaining"):
        if event[name] is not None:
            event[name] = round(event[name], 3)
    to_stdout(json.dumps(event))


class Lines:
    """Progress as lines, every few seconds and at each change of phase.

    Args:
        clock: monotonic seconds.
        write: writes a line; by default to stderr, with the time.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._write = write or partial(to_stderr, timed=True)
        self._last: tuple[Phase | None, float] = (None, 0.0)

    def __call__(self, progress: Progress) -> None:
        """Show the progress."""
        phase, moment = self._last
        ended = progress.total is not None and progress.done == progress.total
        if progress.phase is phase and self._clock() - moment < _PAUSE and not ended:
            return
        self._last = progress.phase, self._clock()
        if progress.phase is not Phase.FINISHED:
            self._write(describe(progress))


def describe(progress: Progress) -> str:
    """Return the progress as one line."""
    if progress.total is None:
        return f"{progress.phase}: {progress.done:,} rows"
    parts = [f"{progress.phase}: {progress.done:,} of {progress.total:,}"]
    if progress.rate:
        parts.append(f"{progress.rate:.1f} per second")
    if progress.limiter_wait is not None and progress.limiter_wait >= 0.001:
        parts.append(f"{progress.limiter_wait:.2f} s waiting for the rate limit")
    if progress.remaining is not None and progress.done < progress.total:
        parts.append(f"{format_duration(progress.remaining)} left")
    return ", ".join(parts)
