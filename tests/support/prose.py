"""Count phrases that make prose hard to read, per 10,000 words: docstrings, comments, and Markdown.

``nox -s lint`` runs it as a program. It exits with 1 if a count is above its limit, and prints each place.

Usage: ``python tests/support/prose.py publitrac_async docs README.md [...]``
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Name, pattern, allowed number per 10,000 words. The limits are those of well-known Python libraries; from
#: "what" on they are a little above the counts when the pattern was added.
PATTERNS: Final = (
    ("opener What/Whether/Who", re.compile(r"(?:^|(?<=[.!?:] ))(?:What|Whether|Who)\b(?![^.!?]*\?)"), 5.0),
    ("nobody/somebody/whoever", re.compile(r"\b(?:nobody|somebody|whoever)\b", re.IGNORECASE), 1.0),
    ("stands", re.compile(r"\b(?:stands?|stood)\b", re.IGNORECASE), 2.0),
    ("so many/much", re.compile(r"\bso (?:many|much)\b", re.IGNORECASE), 1.0),
    ("is none", re.compile(r"\b(?:is|are) none\b"), 1.0),
    (
        "is no",
        re.compile(
            r"(?<!there )\b(?:is|are|was|were) no (?!longer|more\b|less\b|other\b)[a-z]", re.IGNORECASE
        ),
        3.0,
    ),
    ("log-in", re.compile(r"\blog-ins?\b", re.IGNORECASE), 1.0),
    ("answer", re.compile(r"\banswer(?:s|ed|ing)?\b", re.IGNORECASE), 5.0),
    ("under way/anew", re.compile(r"\b(?:under way|anew)\b", re.IGNORECASE), 2.0),
    ("by itself/of its own", re.compile(r"\b(?:by itself|of its own|of their own)\b", re.IGNORECASE), 3.0),
    ("what became of", re.compile(r"\b(?:became|becomes) of\b", re.IGNORECASE), 1.0),
    ("what", re.compile(r"\bwhat\b(?![^.!?]*\?)", re.IGNORECASE), 7.0),
    ("makes of", re.compile(r"\b(?:makes?|made) of\b", re.IGNORECASE), 1.5),
    ("tells/hears", re.compile(r"\b(?:tells?|told|hears?|heard)\b", re.IGNORECASE), 1.5),
    ("in place of", re.compile(r"\bin place of\b", re.IGNORECASE), 0.5),
    ("goes on", re.compile(r"\b(?:goes|go|went|gone) on\b", re.IGNORECASE), 1.0),
    ("is gone/away", re.compile(r"\b(?:is|are|was|were) (?:gone|away)\b", re.IGNORECASE), 1.0),
    ("hands out/on/over", re.compile(r"\bhand(?:s|ed)? (?:\w+ \w+ )?(?:out|on|over)\b", re.IGNORECASE), 1.5),
    (
        "calls a second",
        re.compile(r"\b(?:calls|requests|rows|leads|records|times|MB|\d+) a (?:second|minute|hour)\b"),
        1.0,
    ),
)


def blocks(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring and each run of comment lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text
    run: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if run and token.start[0] != last + 1:
            yield first, " ".join(run)
            run = []
        first, last = (token.start[0] if not run else first), token.start[0]
        run.append(token.string.lstrip("#: "))
    if run:
        yield first, " ".join(run)


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each paragraph of Markdown, without code blocks."""
    run: list[str] = []
    first, fence = 1, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        mark = re.match(r" *(`{3,}|:{3,}|~{3,})", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and line.strip():
            first = first if run else number
            run.append(line.lstrip("#>-*| "))
            continue
        if run:
            yield first, " ".join(run)
            run = []


def main(arguments: list[str]) -> int:
    """Print the counts, and the places of every phrase above its limit."""
    words = 0
    places: dict[str, list[str]] = {name: [] for name, _, _ in PATTERNS}
    for root in map(Path, arguments):
        for path in sorted((*root.rglob("*.py"), *root.rglob("*.md"))) if root.is_dir() else [root]:
            read = paragraphs if path.suffix == ".md" else blocks
            for line, text in read(path.read_text(encoding="utf-8")):
                # Code is not prose.
                prose = " ".join(re.sub(r"``[^`]*``|`[^`]*`", "X", text).split())
                words += prose.count(" ") + 1
                for name, pattern, _ in PATTERNS:
                    for found in pattern.finditer(prose):
                        excerpt = prose[max(0, found.start() - 30) : found.end() + 40]
                        places[name].append(f"{path}:{line}: {excerpt!r}")
    failed = False
    for name, _, limit in PATTERNS:
        rate = len(places[name]) * 10_000 / max(words, 1)
        if rate > limit:
            failed = True
            print(*places[name], sep="\n")
        print(f"{name}: {len(places[name])}, {rate:.1f} per 10,000 words (at most {limit:g})")
    print(f"{words} words")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
