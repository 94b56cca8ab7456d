"""Where a command's words go."""

from __future__ import annotations

import sys
from typing import TextIO


def say(text: str) -> None:
    """Write a line to stdout."""
    _write(text, sys.stdout)


def tell(text: str) -> None:
    """Write a line to stderr: progress and complaints, which belong into no pipe."""
    _write(text, sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    # A terminal or pipe that cannot show a character shows its code: rows come in every script.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
