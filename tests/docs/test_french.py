"""The French pages have the same headings and examples as the English ones."""

from __future__ import annotations

import ast
import re
from itertools import zip_longest

import pytest

from tests.support.snippets import ROOT

PAGES = {
    "README.md": "README.fr.md",
    "docs/index.md": "docs/fr/index.md",
    "docs/tutorial.md": "docs/fr/tutorial.md",
    "docs/guides/files.md": "docs/fr/files.md",
}
#: English terms that have a French one: see the pages for it.
ENGLISH = ("batch", "bulk", "dry run", "e-mail", "mapping", "sandbox", "timeout", "token", "worker")
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    """The levels of the headings, in order."""
    return re.findall(r"^#+(?= )", _BLOCK.sub("", text), re.MULTILINE)


def blocks(text: str) -> list[tuple[str, str]]:
    """Languages and examples, without the parts that may be translated."""
    return [
        (language, _python(code) if language == "python" else _without_comments(code))
        for language, code in _BLOCK.findall(text)
        if not language.startswith("{")
    ]


def _python(code: str) -> str:
    """The code without comments, and without the content of printed texts."""
    tree = compile(code, "page", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            for part in ast.walk(call):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    part.value = ""
    return ast.unparse(tree)


def _without_comments(code: str) -> str:
    return re.sub(r"(^|[ \t]+)# .*$", "", code, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_headings_are_the_same_in_number_level_and_order(page: str) -> None:
    assert headings(read(PAGES[page])) == headings(read(page))


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_the_same_but_for_comments_and_printed_texts(page: str) -> None:
    for french, english in zip_longest(blocks(read(PAGES[page])), blocks(read(page))):
        assert french == english


@pytest.mark.parametrize("page", PAGES)
def test_the_two_pages_link_each_other(page: str) -> None:
    english, french = read(page), read(PAGES[page])
    name, other = page.rpartition("/")[2], PAGES[page].removeprefix("docs/").rpartition("/")[2]
    assert re.search(rf"\[En français\]\([\w./]*{re.escape(other)}\)", english)
    assert re.search(rf"\[English\]\([\w./]*{re.escape(name)}\)", french)


@pytest.mark.parametrize("page", PAGES.values())
def test_french_prose_has_no_english_terms(page: str) -> None:
    prose = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", _BLOCK.sub("", read(page)))
    found = re.findall(rf"\b(?:{'|'.join(ENGLISH)})s?\b", prose, re.IGNORECASE)
    assert found == []


def test_a_change_on_one_side_is_seen() -> None:
    english = "# T\n\n```python\nprint('done:', 1)  # so\nawait f('a')\n```\n"
    assert blocks(english) == blocks(english.replace("done:", "fini :").replace("so", "voilà"))
    assert blocks(english) != blocks(english.replace("'a'", "'b'"))
    assert headings(english) != headings(english + "## U\n")
