"""Directives that read the published benchmark results, so that no figure in the documents can drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "published.json"


def results() -> dict[str, Any]:
    """What the last published run measured."""
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def text(value: object) -> str:
    """Numbers with three digits that count."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def pairs(option: str) -> dict[str, str]:
    """``name=value, other=value``."""
    return dict((part.strip() for part in pair.split("=", 1)) for pair in option.split(","))


class Figures(SphinxDirective):
    """The rest: every directive here shows a piece of the results."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(PUBLISHED))
        return self.parse_text_to_nodes(self.markdown(results()))

    def markdown(self, found: dict[str, Any]) -> str:
        raise NotImplementedError


class BenchmarkMachine(Figures):
    """When and on what the results were measured."""

    def markdown(self, found: dict[str, Any]) -> str:
        machine = found["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        quick = "A quick run: few rounds, a look and no evidence. " if found["quick"] else ""
        return (
            f"{quick}Measured on {machine['date']}: {machine['processor']}, {machine['cores']} cores, "
            f"load {text(machine['load_at_start'])} at the start, Python {machine['python']}; {versions}."
        )


class BenchmarkTargets(Figures):
    """Every target with its bound and what was measured, kept or not."""

    def markdown(self, found: dict[str, Any]) -> str:
        rows = [
            [
                row["target"],
                row["bound"],
                "not measured"
                if row["measured"] is None
                else f"{text(row['measured'])} {row['unit']}".strip(),
                "kept" if row["holds"] else "**missed**",
            ]
            for row in found["targets"]
        ]
        return table(["what", "target", "measured", ""], rows)


class BenchmarkTable(Figures):
    """Rows of one benchmark. Argument: its name. Options: which rows, which figures under which heads."""

    required_arguments = 1
    option_spec: ClassVar = {"where": pairs, "columns": pairs}

    def markdown(self, found: dict[str, Any]) -> str:
        wanted, columns = self.options.get("where", {}), self.options["columns"]
        rows = [
            row
            for row in found[self.arguments[0]]["rows"]
            if all(str(row[name]) == value for name, value in wanted.items())
        ]
        if not rows:
            raise self.error(f"the published results have no row with {wanted}")
        return table(list(columns.values()), [[text(row[name]) for name in columns] for row in rows])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("benchmark-machine", BenchmarkMachine)
    app.add_directive("benchmark-targets", BenchmarkTargets)
    app.add_directive("benchmark-table", BenchmarkTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
