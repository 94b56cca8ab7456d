"""Documented names are importable from one place, and listed there."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import publitrac_async

from .snippets import ROOT

#: Rooms whose reference lists every public name, and no other.
ROOMS = {"publitrac_async.bulk": "bulk", "publitrac_async.shared": "shared"}
#: All modules beside which there is no deeper place to import from.
ALL_ROOMS = (
    "publitrac_async",
    *(
        name
        for _, name, _ in pkgutil.iter_modules(publitrac_async.__path__, "publitrac_async.")
        if name != "publitrac_async.__main__" and hasattr(importlib.import_module(name), "__all__")
    ),
)
REFERENCE = ROOT / "docs" / "reference"
DOCUMENTED = re.compile(r"\.\. auto(?:class|function|exception|data):: (?:\S+\.)?(\w+)")


def documented(module: str) -> set[str]:
    """Names of `module` that any page of the reference documents."""
    names: set[str] = set()
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        current = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                current = found[1]
            elif found := re.match(r"\.\. auto(?:class|function|exception|data):: (\S+)", line):
                place, _, name = found[1].rpartition(".")
                if (place or current) == module:
                    names.add(name)
    return names


@pytest.mark.parametrize("module", ROOMS)
def test_every_public_name_is_documented_and_every_documented_name_is_public(module: str) -> None:
    public = importlib.import_module(module).__all__
    assert list(public) == sorted(public)
    assert documented(module) == set(public)


@pytest.mark.parametrize("module", ALL_ROOMS)
def test_every_public_name_is_documented(module: str) -> None:
    whole = ("publitrac_async.errors", "publitrac_async.transport.events")  # by automodule
    known = {name for each in whole for name in vars(importlib.import_module(each))}
    known |= {name for page in REFERENCE.glob("*.md") for name in DOCUMENTED.findall(page.read_text("utf-8"))}
    assert set(importlib.import_module(module).__all__) - known <= {"__version__"}


@pytest.mark.parametrize("module", ROOMS)
def test_every_public_name_is_importable(module: str) -> None:
    room = importlib.import_module(module)
    assert [name for name in room.__all__ if not hasattr(room, name)] == []


def test_no_documented_name_has_a_path_below_its_room() -> None:
    deep = re.compile(r"\.\. auto\w+:: (publitrac_async\.(?:bulk|shared)\.\w+\.\S+)")
    pages = (ROOT / "docs" / "reference").glob("*.md")
    assert [found for page in pages for found in deep.findall(page.read_text(encoding="utf-8"))] == []


def test_every_public_name_is_in_one_place() -> None:
    rooms: dict[str, list[str]] = {}
    for room in ALL_ROOMS:
        for name in importlib.import_module(room).__all__:
            rooms.setdefault(name, []).append(room)
    assert {name: places for name, places in rooms.items() if len(places) > 1} == {}
