"""The names of tests, and the length of their files."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
#: One or two words after ``test_``.
SHORT = re.compile(r"^ *(?:async )?def (test_[^\W_]+(?:_[^\W_]+)?)\(", re.MULTILINE)

#: Lines of a file of tests or helpers; a longer one is split by behaviour.
LONGEST = 400


def test_the_name_of_a_test_states_the_behaviour() -> None:
    """Names of one or two words name a subject."""
    short = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in SHORT.findall(path.read_text(encoding="utf-8"))
    ]
    assert short == []


def test_a_file_of_tests_has_at_most_400_lines() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in TESTS.rglob("*.py")}
    assert [f"{path.relative_to(TESTS)}: {count}" for path, count in lines.items() if count > LONGEST] == []
