"""How the documentation is built. Nothing is fetched: a build needs no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from publitrac_async import __version__  # noqa: E402  (the path has to be set first)

project = "publitrac_async"
author = "The publitrac_async authors"
copyright = "2026, the publitrac_async authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "operations",
    "command_help",
    "benchmark_figures",
    "fault_matrix",
    "searchable",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"publitrac_async {release}"
html_copy_source = False

# Docstrings write names and values in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

nitpicky = True
nitpick_ignore_regex = [
    # Types of other packages: their pages are on the network, which a build does without.
    (
        r"py:.*",
        r"(_?asyncio|collections|contextlib|datetime|decimal|enum|httpx|logging|metrics|os|pathlib|ssl|trace|types|typing|uuid|uvicorn)(\..*)?",
    ),
    # Aliases, and the keyword arguments of `Sandbox`: they are spelled out where they are used.
    (
        r"py:class",
        (
            r"Fetch|Items?|NamedSources|PathLike|ProgressListener|Placement|TraceTarget|TextWriter|publitrac_async\.sandbox\.settings\.SandboxOptions"
            r"|publitrac_async\.(\w+\.)*(client|base)\.\w+Options"
            r"|publitrac_async\.bulk\.(transform\.Cell\w+|columns\.Columns|report\.model\.Reason)"
            r"|publitrac_async\.sandbox\.(journal\.Received|content\.Content)"
            r"|publitrac_async\.transport\.limits\.Unlimited"
        ),
    ),
    # The text after such an alias is shown as it is written.
    (r"py:class", r"Path(Like)?"),
    # Type variables.
    (r"py:.*", r"(.*\.)?[CTR]"),
    # Internal classes that public ones return or hold.
    (
        r"py:class",
        r"(.*\.)?(Staging|RunMetrics|Connection|OwnColumns|Unlimited|(Redis|File)(RateLimiter|TokenStore))",
    ),
]


def keep_first_line(_app: Sphinx, what: str, *rest: Any) -> None:
    """Stop napoleon from taking "Default: no" in an attribute's docstring for a type and a description."""
    if what in ("attribute", "data", "property"):
        rest[-1][:0] = ["..", ""]  # An empty comment as the first line, which is the one it looks at.


def read_fences(_app: Sphinx, _what: str, *rest: Any) -> None:
    """Some docstrings have their examples in Markdown's fences."""
    lines, inside = rest[-1], False
    for number, line in enumerate(lines):
        if line.strip().startswith("```"):
            lines[number] = "" if inside else "::\n"
            inside = not inside
        elif inside:
            lines[number] = f"    {line}"
    lines[:] = "\n".join(lines).split("\n")


def tell_language(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Name the language of a page to browsers and screen readers."""
    if page.startswith("fr/"):
        context["language"] = "fr"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", tell_language)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
    app.connect("autodoc-process-docstring", read_fences, priority=400)
