"""Escape cells that a spreadsheet program would run as formulas, and restore them.

Anybody can fill in a public form, so a name can be ``=HYPERLINK(...)``. Following OWASP's page "CSV
Injection" and ASVS 1.2.10, such a cell is prefixed with a single quote. Numbers and phone numbers may begin
with the same characters and stay unchanged: digits and signs alone are harmless.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

T = TypeVar("T")

#: Characters that start a formula; East Asian versions of Excel accept the wide forms as well.
_SIGNS: Final = "=+\\-@＝＋－＠"  # noqa: RUF001  (wide on purpose)
#: Blanks before the sign do not make it safe, and a tab or line break starts another cell. The pattern
#: includes leading quotes: otherwise `restore` would remove a quote that belongs to the text.
_RUNNABLE: Final = re.compile(f"'*\\s*?[\\x00\\t\\r\\n{_SIGNS}]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PHONE: Final = re.compile(r"\+\(?[0-9][0-9 \u00a0().\-/]{2,40}")


def defuse(cell: T) -> T | str:
    """Return `cell`, prefixed with a quote if a spreadsheet would run it."""
    # Most cells begin with a letter or digit; formulas do not.
    if not isinstance(cell, str) or not cell or cell[0].isalnum() or not _runs(cell):
        return cell
    return f"'{cell}"


def restore(cell: T) -> T | str:
    """Undo `defuse`."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _runs(cell[1:]) else cell


def _runs(text: str) -> bool:
    if not _RUNNABLE.match(text):
        return False
    return not (_PHONE.fullmatch(text) or _NUMBER.fullmatch(text))
