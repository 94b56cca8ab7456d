"""Output of commands."""

from __future__ import annotations

import re
import sys
from typing import Final, TextIO

#: Characters that move the cursor, change colors or reverse the direction of text: a file or service could
#: use them to forge the output. Line break and tab are harmless.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def say(text: str) -> None:
    """Write a line to stdout."""
    _write(text, sys.stdout)


def tell(text: str) -> None:
    """Write a line to stderr: progress and errors, which do not belong in a pipe."""
    _write(text, sys.stderr)


def plain(text: str) -> str:
    """Return `text` with codes in place of control characters."""
    return _CONTROLS.sub(_code, text)


def _write(text: str, stream: TextIO) -> None:
    # If the output cannot encode a character, its code is written: rows contain every script.
    encoding = stream.encoding or "utf-8"
    stream.write(plain(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"  # JSON accepts these codes, too.
