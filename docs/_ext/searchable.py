"""A check at the end of a build: the search finds every public name, error, option and variable."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from sphinx.application import Sphinx
from sphinx.util import logging

import publitrac_async
from publitrac_async.cli.commands import commands
from publitrac_async.transport.base import BaseClient
from publitrac_async.v1 import V1
from publitrac_async.v2 import V2

logger = logging.getLogger(__name__)

#: Words of the French pages.
FRENCH = ("prospect", "jeton", "bac à sable", "fichier de correspondance", "séparateur", "essai à blanc")


def queries() -> Iterator[str]:
    """What readers look for."""
    for module in (publitrac_async, *_rooms()):
        for name in getattr(module, "__all__", ()):
            if name[0] != "_":
                yield name
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, BaseClient):
                yield from inspect.signature(value).parameters
    for facade in (V1, V2):
        yield from (name for name, _ in inspect.getmembers(facade, inspect.isfunction) if name[0] != "_")
    yield from _options(commands)
    yield from FRENCH


def _rooms() -> Iterator[ModuleType]:
    for _, name, _ in pkgutil.iter_modules(publitrac_async.__path__, "publitrac_async."):
        if not name.endswith("__main__"):
            yield importlib.import_module(name)


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from (name for name in parameter.opts if name.startswith("--"))
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _options(each)


def missing(index: dict[str, Any], language: Any) -> list[str]:
    """Return the queries that find no page, as the page's script looks for them.

    Args:
        index: content of `searchindex.js`.
        language: the language of the index, with stop words and a stemmer.
    """

    def pages(word: str) -> set[int]:
        stem = language.stem(word.lower())
        found = [index[part].get(stem, []) for part in ("terms", "titleterms")]
        return {page for each in found for page in ([each] if isinstance(each, int) else each)}

    def finds(query: str) -> bool:
        words = [word for word in re.findall(r"\w+", query) if word.lower() not in language.stopwords]
        return not words or bool(set.intersection(*map(pages, words)))

    return sorted({query for query in queries() if not finds(query)})


def check(app: Sphinx, failure: Exception | None) -> None:
    """Warn of each query that finds no page."""
    file = Path(app.outdir) / "searchindex.js"
    if failure is not None or app.builder.name != "html":
        return
    content = file.read_text(encoding="utf-8")
    index = json.loads(content[content.index("(") + 1 : content.rindex(")")])
    for query in missing(index, app.builder.indexer.lang):  # type: ignore[attr-defined]  # of the HTML builder
        logger.warning("the search finds no page for %s", query)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the check, after the index was written."""
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
