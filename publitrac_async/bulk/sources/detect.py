"""Detect encoding and delimiter of a text file from its first bytes."""

from __future__ import annotations

import codecs
import re
from typing import Final

from attrs import frozen

from publitrac_async.bulk.cells import normalized

#: Bytes to examine: enough for a header.
PROBE: Final = 64 * 1024
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')
_OTHER_DELIMITERS: Final = ";\t|"


@frozen
class TextFormat:
    """Format of a text file.

    Attributes:
        encoding: Python's name of the encoding.
        delimiter: character between cells.
        header: number of the header line, from 1.
    """

    encoding: str
    delimiter: str
    header: int = 1


def detect_encoding(start: bytes, declared: str) -> str:
    """Return the encoding of a file that begins with `start`.

    A byte order mark overrides `declared`. UTF-16 without one is recognized by its zero bytes.

    Args:
        start: first bytes of the file.
        declared: encoding if none is detected.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if declared in ("utf-8", "utf-8-sig") and len(start) > 1 and b"\0" in start[:2] and start[:2] != b"\0\0":
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    return declared


def detect_format(
    start: bytes, encoding: str, delimiter: str | None, default: str, header: int | None = None
) -> TextFormat:
    """Return the format of a file that begins with `start`.

    Args:
        start: first bytes of the file.
        encoding: declared encoding.
        delimiter: declared delimiter, ``None`` to look for one.
        default: delimiter to prefer if the header contains it, unless only another delimiter yields a column
            ``email``.
        header: number of the header line, ``None`` for the first that is not blank.
    """
    encoding = detect_encoding(start, encoding)
    # A character that is cut off at the end does not matter: only the first lines are used.
    text = start.decode(encoding, "replace").removeprefix("\ufeff")
    lines = re.split(r"\r\n|\r|\n", text)
    found = _SEPARATOR_LINE.fullmatch(lines[0])
    if found:
        return TextFormat(encoding, delimiter or found.group(1), header or 2)
    if delimiter is None:
        first = lines[header - 1 : header] if header else [line for line in lines if line.strip()]
        delimiter = _delimiter(first[0] if first else "", default)
    return TextFormat(encoding, delimiter, header or 1)


def _delimiter(header: str, default: str) -> str:
    plain = _QUOTED.sub("", header)
    candidates = [default, *sorted(_OTHER_DELIMITERS, key=plain.count, reverse=True)]
    for each in candidates:
        if each in plain and any(normalized(cell) == "email" for cell in header.split(each)):
            return each
    return next((each for each in candidates if each in plain), default)
