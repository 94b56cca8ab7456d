"""Examine the bytes of an XML document ahead of the parser: expensive parts, indentation."""

from __future__ import annotations

import itertools
import re
from typing import Final

from publitrac_async.transport.budget import BUDGET, OverBudget

_VALUE: Final = re.compile(rb"""=\s*["']""")
_NAME: Final = re.compile(rb"<([^\s<>/!?]+)")
#: Length of the shortest element and attribute, in bytes.
_ELEMENT: Final = len("<a/>")
_ATTRIBUTE: Final = len(" a=''")
#: Bytes in the middle of a document in which the indentation of fields is searched.
_SAMPLE: Final = 2 * 1024
_INDENTED: Final = re.compile(rb"</[^<>]+>([ \t\r\n]+)<[^/]")


def check_attributes(document: bytes) -> None:
    """Refuse a document with too many attributes.

    Raises:
        OverBudget: it has too many.
    """
    # Most documents are too short, or have few equals signs. `count` is the fastest check.
    if len(document) <= BUDGET.attributes * _ATTRIBUTE or document.count(b"=") <= BUDGET.attributes:
        return
    if next(itertools.islice(_VALUE.finditer(document), BUDGET.attributes, None), None) is not None:
        raise OverBudget(f"it has more than {BUDGET.attributes} attributes")


class Counter:
    """Counts expensive parts of a document ahead of the parser, if it is long enough to hold too many."""

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._position = 0
        self._elements = 0 if len(document) > BUDGET.elements * _ELEMENT else None
        self._names: set[bytes] | None = set() if len(document) > BUDGET.text else None

    def count(self, end: int) -> None:
        """Count up to a position.

        Raises:
            OverBudget: there are too many elements or names.
        """
        document, start, self._position = self._document, self._position, end
        if self._elements is not None:
            self._elements += document.count(b"<", start, end) - document.count(b"</", start, end + 1)
            if self._elements > BUDGET.elements:
                raise OverBudget(f"it has more than {BUDGET.elements} elements")
        if self._names is not None:
            self._names.update(_NAME.findall(document, start, end))
            if len(self._names) > BUDGET.names:
                raise OverBudget(f"it has more than {BUDGET.names} different names")


def find_indentation(document: bytes) -> bytes:
    """Return the white space between the fields of an indented document, ``b""`` if it must not be left out.

    The parser makes two strings and a list for each line break with its indentation. Without them a page of
    100 indented leads takes a tenth less time.
    """
    # In and between comments, instructions and CDATA sections, white space is part of a text.
    start = document.find(b"?>", 0, _SAMPLE) + 1  # after the declaration
    for mark in (b"<!", b"<?"):
        # Most documents do not contain the second byte, whose search takes a thirtieth of the time. Searching
        # for both bytes would take 8 % of the time of a page.
        if document.find(mark[1:], start) >= 0 and document.find(mark, start) >= 0:
            return b""
    middle = len(document) // 2
    found: list[bytes] = _INDENTED.findall(document, middle, middle + _SAMPLE)
    return max(set(found), key=found.count, default=b"")
