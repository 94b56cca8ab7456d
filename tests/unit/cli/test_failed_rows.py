from __future__ import annotations

from publitrac_async.cli.status import _sort_key


def test_failed_rows_are_in_the_order_of_files_and_lines() -> None:
    lines = ["b.csv:1", "a.csv:10", 11, "a.csv:9", 2]
    assert sorted(lines, key=_sort_key) == [2, 11, "a.csv:9", "a.csv:10", "b.csv:1"]  # type: ignore[arg-type]


def test_a_number_of_any_length_in_redis_is_no_error() -> None:
    """Python reads no number with more than 4,300 digits."""
    assert _sort_key("a.csv:" + "9" * 18) == ("a.csv", 10**18 - 1)
    assert _sort_key("a.csv:" + "9" * 19) == _sort_key("a.csv:" + "9" * 5000) == ("a.csv", 0)
