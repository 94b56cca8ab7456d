"""The page "Troubleshooting" has a row for each class of error that a caller can meet."""

from __future__ import annotations

import re

import publitrac_async
from publitrac_async import ApiError, PublitracError, TransportError
from tests.support.snippets import ROOT

PAGE = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")


def test_every_class_of_error_has_a_row() -> None:
    rows = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`[^|]+)\|", PAGE, re.MULTILINE))))
    classes = {
        name
        for name in publitrac_async.__all__
        if isinstance(kind := getattr(publitrac_async, name), type) and issubclass(kind, PublitracError)
    }
    assert classes - {kind.__name__ for kind in (PublitracError, ApiError, TransportError)} <= rows
