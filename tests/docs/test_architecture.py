"""Files and names that pages for contributors, and docstrings of modules, refer to."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.snippets import ROOT

PACKAGE = ROOT / "publitrac_async"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
#: A path in backticks: with a slash, or with a suffix of the project's files.
PATH = re.compile(r"`((?:[\w.-]+/)*(?:[\w-]+\.(?:py|md|toml)|[\w-]+/|(?<=/)[\w-]+))`")
LAYERS = {
    contract["containers"][0]: [set(layer.split(" | ")) for layer in contract["layers"]]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
}
#: Rows of the table "Where is ...?": each file, and the names in parentheses behind it.
POINTERS = [
    (file, re.findall(r"`([\w.]+)`", names))
    for file, names in re.findall(
        r"`([\w/]+(?:\.py)?)`(?: \(([^)]*)\))?", ARCHITECTURE.partition("## Where is ...?")[2]
    )
]


#: Names of files in any folder: a page may name the folder before.
NAMES = {
    path.name for folder in ("publitrac_async", "tests", "docs") for path in (ROOT / folder).rglob("*.*")
} | {path.name for path in ROOT.iterdir()}


def missing(text: str) -> set[str]:
    """Paths in a text that do not exist below the project, the package, or `bulk`."""
    folders = (ROOT, PACKAGE, PACKAGE / "bulk")
    return {
        path
        for path in PATH.findall(text)
        if path not in NAMES and not any((folder / path).exists() for folder in folders)
    }


@pytest.mark.parametrize(
    ("page", "to_be_made"),
    [("docs/architecture.md", set()), ("CONTRIBUTING.md", {"publitrac_async/NAME"})],
)
def test_every_file_that_a_page_for_contributors_names_exists(page: str, to_be_made: set[str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(PATH.findall(text)) > 20
    assert missing(text) - {"docs/_build/html"} == to_be_made  # The documentation may be built already.


def test_every_file_that_the_docstring_of_a_module_names_exists() -> None:
    found = 0
    for module in PACKAGE.rglob("*.py"):
        text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
        found += len(PATH.findall(text))
        assert missing(text) == set(), module
    assert found > 10


def names_in(path: Path) -> Iterator[str]:
    """Names that a module or a package defines or imports, at any depth."""
    for module in path.rglob("*.py") if path.is_dir() else [path]:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    yield name
                case ast.Name(id=name, ctx=ast.Store()):
                    yield name


def test_the_table_of_places_names_existing_files() -> None:
    assert sum(len(names) for _, names in POINTERS) > 20
    for file, names in POINTERS:
        assert (PACKAGE / file).exists(), file
        if names:
            assert set(names) - set(names_in(PACKAGE / file)) == set(), file


def rooms(table: str) -> Iterator[Sequence[str]]:
    """Rooms of each row of a table, which are in the last column but one."""
    for line in table.splitlines():
        cells = line.split("|")
        if len(cells) > 3 and "`" in cells[-3]:
            yield [name.removesuffix(".py") for name in re.findall(r"`([\w.]+)`", cells[-3])]


@pytest.mark.parametrize(
    ("container", "heading"),
    [("publitrac_async", "## Rooms"), ("publitrac_async.bulk", "Rooms of `bulk`, from top to bottom:")],
)
def test_the_tables_of_rooms_equal_the_import_contracts(container: str, heading: str) -> None:
    table = re.search(r"^\|.*?\n\n", ARCHITECTURE.partition(heading)[2], re.DOTALL | re.MULTILINE)
    assert table is not None
    listed = [room for row in rooms(table[0]) for room in row]
    layers = LAYERS[container]
    assert sorted(listed) == sorted(room for layer in layers for room in layer)
    floors = [next(floor for floor, layer in enumerate(layers) if room in layer) for room in listed]
    assert floors == sorted(floors)
