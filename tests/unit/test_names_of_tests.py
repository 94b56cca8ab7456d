"""The names of tests."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
#: One or two words after ``test_``.
SHORT = re.compile(r"^ *(?:async )?def (test_[^\W_]+(?:_[^\W_]+)?)\(", re.MULTILINE)


def test_the_name_of_a_test_says_the_behaviour() -> None:
    """Names of one or two words name a subject."""
    short = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in SHORT.findall(path.read_text(encoding="utf-8"))
    ]
    assert short == []
