"""The reference has a section, with an example, for every public method."""

from __future__ import annotations

import inspect
import re

import pytest

from publitrac_async.cli.commands import commands
from publitrac_async.marketo import MarketoClient
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2
from publitrac_async.vitec import VitecClient
from tests.support.snippets import ROOT


def public_methods(facade: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(facade, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(("page", "facade"), [("v1", V1), ("v2", V2)])
def test_every_method_has_a_section_with_an_example(page: str, facade: type) -> None:
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^##+ `(\w+)`\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    assert set(sections) == public_methods(facade) - {"aclose"}
    for name, section in sections.items():
        assert f".. automethod:: publitrac_async.{page}.{facade.__name__}.{name}\n" in section
        assert f"publitrac.{page}.{name}(" in section.partition("```python")[2]


@pytest.mark.parametrize("facade", [V1, V2, MarketoClient, VitecClient])
def test_every_argument_of_a_method_is_described(facade: type) -> None:
    for name in public_methods(facade) - {"with_options"}:
        method = getattr(facade, name)
        described = (inspect.getdoc(method) or "").partition("Args:")[2]
        arguments = set(inspect.signature(method).parameters) - {"self"}
        assert {each for each in arguments if f" {each}: " not in described.replace("*", "")} == set(), name


def test_every_command_has_a_section() -> None:
    text = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^```\{command-help\} ([\w-]+)$", text, re.MULTILINE) == re.findall(
        r"^## `([\w-]+)`$", text, re.MULTILINE
    )
    assert set(re.findall(r"^## `([\w-]+)`$", text, re.MULTILINE)) == set(commands.commands)
