"""Output of commands."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from attrs import define

from publitrac_async.cli.exits import CommandError, ending_of

#: Characters that move the cursor, change colors or reverse the direction of text: a file or service could
#: use them to forge the output. Line break and tab are harmless.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@define
class _Outputs:
    quiet: bool = False
    log: TextIO | None = None


_outputs: Final = _Outputs()


@contextmanager
def outputs(*, quiet: bool, log_file: Path | None) -> Iterator[None]:
    """Copy the output of a command to a log file, or suppress it, while this is open.

    Args:
        quiet: suppress lines without `always`.
        log_file: file to append to, each line with its local time; created so that only its owner has access.

    Raises:
        CommandError: the log file cannot be written.
    """
    log = None
    if log_file is not None:
        try:
            # Line by line, so that `tail -f` can follow it.
            log = open(log_file, "a", 1, "utf-8", "backslashreplace", opener=_open_private)  # noqa: SIM115
        except OSError as error:
            raise CommandError(f"{log_file} cannot be written: {error.strerror}") from None
    _outputs.quiet, _outputs.log = quiet, log
    try:
        yield
    except Exception as error:
        ending = ending_of(error)
        to_log(type(error).__name__ if ending is None else ending[0])
        raise
    finally:
        _outputs.quiet, _outputs.log = False, None
        if log is not None:
            log.close()


def to_stdout(text: str, *, always: bool = False) -> None:
    """Write a line to stdout, and to the log file.

    Args:
        text: the line.
        always: write it even with ``--quiet``.
    """
    to_log(text)
    if always or not _outputs.quiet:
        _write(text, sys.stdout)


def to_stderr(text: str, *, always: bool = False, timed: bool = False) -> None:
    """Write a line of progress or an error to stderr, and to the log file.

    Args:
        text: the line.
        always: write it even with ``--quiet``.
        timed: begin the line with the local time.
    """
    to_log(text)
    if always or not _outputs.quiet:
        _write(f"{_now()} {text}" if timed else text, sys.stderr)


def to_log(text: str) -> None:
    """Write a line to the log file only, if there is one."""
    if _outputs.log is not None:
        for line in text.splitlines():
            _write(f"{_now()} {line}", _outputs.log)


def _now() -> str:
    return dt.datetime.now().astimezone().isoformat(" ", "seconds")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def plain(text: str) -> str:
    """Return `text` with escape codes instead of control characters."""
    return _CONTROLS.sub(_code, text)


def _write(text: str, stream: TextIO) -> None:
    # Rows may contain any script: a character that the output cannot encode is written as an escape code.
    encoding = stream.encoding or "utf-8"
    stream.write(plain(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"  # Also valid in JSON.
