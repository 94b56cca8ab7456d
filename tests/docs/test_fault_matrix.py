"""Every row of the fault matrix has tests, and every mark names a row."""

from __future__ import annotations

from tests.support.fault_matrix import ROWS, marked


def test_every_fault_has_a_test() -> None:
    assert list(ROWS) == [f"F{number:02}" for number in range(1, 41)]
    assert set(marked()) == set(ROWS)
