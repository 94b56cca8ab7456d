"""Finds the Python snippets of a page, and runs them as a reader would."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[2]
#: The French pages have the same examples: see test_french.py.
PAGES = sorted(
    page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if page.parent != ROOT / "docs/fr"
)

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: [^\n]+ -->\n+)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


@frozen
class Snippet:
    """One block of a page.

    The snippets of a page run in order in one namespace, which begins with an open client and the
    sandbox it talks to. A whole program (it calls ``asyncio.run``) runs as a script, a test as a test.
    """

    page: Path
    line: int
    code: str
    runs: bool

    async def run(self, namespace: dict[str, Any], folder: Path) -> None:
        if "asyncio.run(" in self.code:
            await self._run_process(folder / "program.py")
        elif re.search(r"^(async )?def test_", self.code, re.MULTILINE):
            options = (
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "pytest_publitrac",
                "-o",
                "asyncio_mode=auto",
                "--rootdir",
                str(folder),
            )
            await self._run_process(folder / "test_program.py", "-m", "pytest", *options)
        else:
            # The lines of the page, so that a traceback shows where the reader would look.
            code = "\n" * (self.line - 1) + self.code
            compiled = compile(code, str(self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(compiled, namespace)
            if inspect.isawaitable(result):
                await result

    async def _run_process(self, path: Path, *before: str) -> None:
        path.write_text(self.code, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *before,
            str(path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()


def snippets(page: Path) -> Iterator[Snippet]:
    """The Python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield Snippet(page, line, match["code"], match["mark"] is None)
