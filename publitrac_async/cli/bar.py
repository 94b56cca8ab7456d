"""The progress bar on a terminal, and a table that refreshes. Only this module imports rich."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from publitrac_async.bulk import Phase
from publitrac_async.bulk import Progress as RunProgress
from publitrac_async.bulk.metrics import format_duration
from publitrac_async.cli.console import plain


class Bar:
    """Progress bar on stderr, one for each phase of a run."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}"),
            console=Console(stderr=True),
        )
        self._tasks = {
            phase: self._progress.add_task(str(phase), total=None, visible=False, detail="")
            for phase in Phase
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, progress: RunProgress) -> None:
        """Show the progress."""
        if progress.phase is Phase.FINISHED:
            return
        detail = f"{progress.done:,}"
        if progress.total is not None:
            detail += f" of {progress.total:,}"
        if progress.rate:
            detail += f" · {progress.rate:.1f}/s"
        if progress.remaining:
            detail += f" · {format_duration(progress.remaining)} left"
        self._progress.update(
            self._tasks[progress.phase],
            completed=progress.done,
            total=progress.total,
            visible=True,
            detail=detail,
        )


@contextmanager
def screen(text_of: Callable[[Any], str]) -> Iterator[Callable[[Any], None]]:
    """Yield a function that replaces the text on the screen."""
    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda content: live.update(Text(plain(text_of(content)), no_wrap=True), refresh=True)
