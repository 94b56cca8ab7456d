"""Find cells of a workbook that calamine reads as empty: errors (``#REF!``) and formulas without a result."""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree as ET

_PIECE: Final = 1024 * 1024
#: Longest XML of a cell. Pieces of the file are cut between cells.
_CELL_BYTES: Final = 256 * 1024
_ERROR: Final = re.compile(
    rb'<c\s(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>(?:(?!</c>).)*?<v>([^<]*)</v>', re.DOTALL
)
#: A formula as written by a program that does not calculate. An empty text as a result has the type "str".
_NO_RESULT: Final = re.compile(
    rb'<c\s(?![^>]*\bt="str")[^>]*\br="([A-Z]+)(\d+)"[^>]*>\s*<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
#: Value of a formula without a result.
NO_RESULT: Final = "\0no result"
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def error_cells(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    """Return the errors of a sheet by row, from 1, and column, from 0; `NO_RESULT` for a formula without one.

    Args:
        path: path of the workbook. Only errors of ``.xlsx`` and ``.xlsm`` can be found.
        sheet: name of the sheet.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = _part_of(archive, sheet)
            if name is None:
                return {}
            with archive.open(name) as part:
                return {
                    (int(row), _number(column)): html.unescape(text.decode("utf-8", "replace"))
                    for column, row, text in _found(part)
                }
    except (zipfile.BadZipFile, KeyError, ET.ParseError, OSError, ValueError):
        return {}


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the name of the file of a sheet."""
    workbook = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314  (expat limits entities)
    wanted = [each.get(_ID) for each in workbook.iter(f"{_MAIN}sheet") if each.get("name") == sheet]
    relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314  (as above)
    for relation in relations:
        if wanted and relation.get("Id") == wanted[0]:
            return posixpath.normpath(posixpath.join("/xl", relation.get("Target", ""))).lstrip("/")
    return None


def _found(part: IO[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    held = b""
    while piece := part.read(_PIECE):
        text = held + piece
        end = text.rfind(b"<c ")
        held = text[end:] if end >= 0 and len(text) - end < _CELL_BYTES else b""
        yield from _found_in(text[: len(text) - len(held)] if held else text)
    yield from _found_in(held)


def _found_in(text: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    if b't="e"' in text:
        yield from _ERROR.findall(text)
    if b"<f" in text:
        for column, row in _NO_RESULT.findall(text):
            yield column, row, NO_RESULT.encode()


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
