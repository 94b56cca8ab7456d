"""Log records of a long-running command: lines of text, or JSON lines."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from publitrac_async.cli.console import outputs, to_stderr

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")

#: Seconds until a warning is repeated: without Redis, docket logs one every second.
_REPEAT: Final = 60.0
_PACKAGE: Final = "publitrac_async"
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: JSON name by name of the field in a record, if they differ. ``host`` is this machine.
_NAMES: Final = {"job": "run", "host": "server"}


class LogLines(logging.Handler):
    """Log handler for stderr: one line per record, no tracebacks, each warning at most once a minute.

    Below the level of warnings it writes only records of this package: others may quote personal data.

    Args:
        level: lowest level to write.
        as_json: write JSON, with this host, the run and the chunk.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        level: str = "warning",
        *,
        as_json: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(level.upper())
        self._line = _as_json if as_json else _as_text
        self._clock = clock
        self._written: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if record.levelno < logging.WARNING:
            if _is_own(record):
                to_stderr(self._line(record))
            return
        text = _as_text(record)
        now = self._clock()
        if now - self._written.get(text, -_REPEAT) < _REPEAT:
            return
        self._written = {each: when for each, when in self._written.items() if now - when < _REPEAT}
        self._written[text] = now
        to_stderr(self._line(record))


@contextmanager
def log_lines(*, level: str, as_json: bool) -> Iterator[None]:
    """Write the log records of this process to stderr while this is open."""
    root, package = logging.getLogger(), logging.getLogger(_PACKAGE)
    handler, before = LogLines(level, as_json=as_json), package.level
    root.addHandler(handler)
    package.setLevel(handler.level)
    try:
        yield
    finally:
        package.setLevel(before)
        root.removeHandler(handler)


@contextmanager
def log_outputs(*, quiet: bool, log_file: Path | None) -> Iterator[None]:
    """Suppress the output of a command, or copy it to a file together with the warnings of this process.

    Args:
        quiet: see `outputs`.
        log_file: see `outputs`.

    Raises:
        CommandError: the log file cannot be written.
    """
    with ExitStack() as stack:
        if quiet or log_file is not None:
            stack.enter_context(outputs(quiet=quiet, log_file=log_file))
            stack.enter_context(log_lines(level="warning", as_json=False))
        yield


def _as_text(record: logging.LogRecord) -> str:
    return f"{record.name}: {record.getMessage()}"


def _as_json(record: logging.LogRecord) -> str:
    fields: dict[str, Any] = {
        "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        "host": socket.gethostname(),
    }
    if _is_own(record):
        extra = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        fields |= {_NAMES.get(name, name): value for name, value in extra.items()}
    return json.dumps(fields, default=str)


def _is_own(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == _PACKAGE
