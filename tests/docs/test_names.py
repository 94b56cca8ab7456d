"""Documented names can be imported from one module, which lists them."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import publitrac_async
from tests.support.snippets import ROOT

#: The modules that users import from.
ROOMS = (
    "publitrac_async",
    *(
        name
        for _, name, _ in pkgutil.iter_modules(publitrac_async.__path__, "publitrac_async.")
        if name != "publitrac_async.__main__" and hasattr(importlib.import_module(name), "__all__")
    ),
)
#: Modules that the reference documents as a whole; their names are imported from the package itself.
WHOLE = ("publitrac_async.errors", "publitrac_async.transport.events")
REFERENCE = ROOT / "docs" / "reference"
IMPORT = re.compile(r"^ *from (publitrac_async[\w.]*) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


def documented() -> dict[str, set[str]]:
    """Names in the reference, by the module that it gives for each."""
    names: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module in WHOLE:
        defined = vars(importlib.import_module(module)).items()
        # Type aliases have no module.
        names["publitrac_async"] |= {
            name
            for name, value in defined
            if getattr(value, "__module__", module) == module and name[0].isupper()
        }
    for page in REFERENCE.glob("*.md"):
        current = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                current = found[1]
            elif found := re.match(r"\.\. auto(?:class|function|exception|data):: (\S+)", line):
                place, _, name = found[1].rpartition(".")
                names.setdefault(place or current, set()).add(name)
    return names


def test_every_public_name_is_documented_and_every_documented_name_is_public() -> None:
    public = {room: set(importlib.import_module(room).__all__) - {"__version__"} for room in ROOMS}
    assert documented() == public


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_importable_and_no_other_is_listed(room: str) -> None:
    module = importlib.import_module(room)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)
    assert dir(module) == sorted(module.__all__)


def test_every_public_name_is_in_one_place() -> None:
    rooms: dict[str, list[str]] = {}
    for room in ROOMS:
        for name in importlib.import_module(room).__all__:
            rooms.setdefault(name, []).append(room)
    assert {name: places for name, places in rooms.items() if len(places) > 1} == {}


@pytest.mark.parametrize("folder", ["docs/guides", "docs/reference", "docs/fr", "examples", "."])
def test_guides_and_examples_import_public_names_only(folder: str) -> None:
    rooms = {room: set(importlib.import_module(room).__all__) for room in ROOMS}
    rooms["publitrac_async"] |= {room.rpartition(".")[2] for room in ROOMS[1:]}
    pages = [
        page
        for kind in ("md", "py")
        for page in (ROOT / folder).glob(f"*.{kind}" if folder == "." else f"**/*.{kind}")
    ]
    private = [
        (page.name, place, name)
        for page in pages
        if page.name not in ("CHANGELOG.md", "noxfile.py", "CONTRIBUTING.md")
        for place, several, one in IMPORT.findall(page.read_text(encoding="utf-8"))
        for name in re.findall(r"\w+", re.sub(r"#.*| as \w+", "", several or one))
        if name not in rooms.get(place, set())
    ]
    assert private == []
