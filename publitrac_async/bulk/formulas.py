"""Cells that a spreadsheet program would run, made into text and back.

Leads come from forms that anybody can fill in, so a name can be ``=HYPERLINK(...)``. As OWASP's page "CSV
Injection" and ASVS 1.2.10 say, such a cell gets a single quote in front. Phone numbers and numbers begin with
the same characters and are left alone: of digits and signs no formula that does anything can be made.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

T = TypeVar("T")

#: What a formula begins with; East Asian versions of Excel take the wide forms as well.
_SIGNS: Final = "=+\\-@＝＋－＠"  # noqa: RUF001  (wide on purpose)
#: Blanks before the sign do not make it safe, and a tabulator or line break moves to another cell. Quotes
#: in front belong to the pattern: without that, a text that came with one would lose it on the way back.
_RUNNABLE: Final = re.compile(f"'*\\s*?[\\x00\\t\\r\\n{_SIGNS}]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PHONE: Final = re.compile(r"\+\(?[0-9][0-9 \u00a0().\-/]{2,40}")


def defuse(cell: T) -> T | str:
    """What to write for `cell`: text that a spreadsheet would run gets a quote in front."""
    return f"'{cell}" if isinstance(cell, str) and _runs(cell) else cell


def restore(cell: T) -> T | str:
    """What `cell` was before `defuse`."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _runs(cell[1:]) else cell


def _runs(text: str) -> bool:
    # Most cells begin with a letter or digit, and no formula does.
    if text[:1].isalnum() or not _RUNNABLE.match(text):
        return False
    return not (_PHONE.fullmatch(text) or _NUMBER.fullmatch(text))
