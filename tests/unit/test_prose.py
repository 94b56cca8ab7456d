"""The check of the language in docstrings, comments and documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import prose

SOURCE = '''
def close():
    """Whether it closes.

    Nobody reads this.
    """
    # Stands here,
    # in two lines.
    return "What"  # so many
'''

PAGE = """\
# What is a lead?

| what | nobody |
| --- | --- |

```python
# somebody
```

Who sends it is `nobody`.
Whoever reads.
"""


def test_docstrings_and_comments_are_read_and_other_strings_are_not() -> None:
    assert list(prose.blocks(SOURCE)) == [
        (3, "Whether it closes.\n\nNobody reads this."),
        (7, "Stands here, in two lines. so many"),
    ]


def test_paragraphs_of_a_page_are_read_and_its_code_is_not() -> None:
    assert list(prose.paragraphs(PAGE)) == [
        (1, "What is a lead?"),
        (3, "what | nobody | "),
        (10, "Who sends it is `nobody`. Whoever reads."),
    ]


@pytest.mark.parametrize(("name", "text"), [("module.py", SOURCE), ("page.md", PAGE)])
def test_a_count_above_its_limit_fails_and_names_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert prose.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:3: " in out
    # A question is not a relative clause, and code is not prose.
    assert "is a lead" not in out
    assert "somebody" not in out.replace("nobody/somebody/whoever", "")


def test_plain_prose_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""Return True if the client is closed."""\n', encoding="utf-8")
    assert prose.main([str(path)]) == 0
    assert "7 words" in capsys.readouterr().out
