from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.snippets import ROOT


@pytest.mark.parametrize("page", ["README.md", "README.fr.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Sphinx checks the links of the other pages."""
    targets = re.findall(r"\]\(([^)#]+)", Path(ROOT, page).read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_index_lists_every_guide_once() -> None:
    trees = re.findall(
        r"^```\{toctree\}\n(.*?)^```$", (ROOT / "docs/index.md").read_text(), re.DOTALL | re.MULTILINE
    )
    listed = re.findall(r"^guides/(\S+)$", "\n".join(trees), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in (ROOT / "docs/guides").glob("*.md"))


def test_the_two_commands_stand_in_the_first_screen() -> None:
    """The CI runs the documented test command."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    commands = [line for line in lines if line.startswith("python3 -m venv .venv && ")]
    assert len(commands) == 2
    assert commands[0].endswith(" && .venv/bin/publitrac-async sync examples/leads.csv --sandbox")
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
