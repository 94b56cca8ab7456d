"""Directives that read the tables of operations, so that the reference cannot drift from the code."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from publitrac_async.transport.operation import Operation, OperationClass

REPEATED = {
    OperationClass.READ: "yes",
    OperationClass.UPSERT: "yes",
    OperationClass.APPEND: "no",
}
SOURCES = {
    "annex": "The documents list only its errors: verb and parameters are inferred",
    "constant": "The documents name only its status: verb and parameters are inferred",
}
#: The documents give this one no name.
NAMES = {"transaction": "add_transaction"}


def operations(module: str) -> Iterator[Operation]:
    """The rows of a table of operations, in its order."""
    values = vars(importlib.import_module(module)).values()
    return (value for value in values if isinstance(value, Operation))


def method_name(operation: Operation) -> str:
    """The method here for the vendor's name: ``get_leads`` for ``getLeads``."""
    snake_case = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", operation.name).lower()
    return NAMES.get(operation.name, snake_case)


class OperationsTable(SphinxDirective):
    """A table of all operations of a module. Argument: the module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = [
            "| method | vendor's name | verb | class | repeated after a lost answer |",
            "|---|---|---|---|---|",
        ]
        for row in operations(self.arguments[0]):
            name, kind = method_name(row), row.operation_class
            cells = (f"[`{name}`](#{name})", f"`{row.name}`", row.verb, kind.value, REPEATED[kind])
            lines.append(f"| {' | '.join(cells)} |")
        return self.parse_text_to_nodes("\n".join(lines))


class OperationFacts(SphinxDirective):
    """What the table says about one operation. Arguments: the module, the method's name here."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments
        row = next((row for row in operations(module) if method_name(row) == name), None)
        if row is None:
            raise self.error(f"{module} has no operation for {name}")
        kind = row.operation_class
        facts = [f"Vendor's method: `{row.name}`, {row.verb}. Class: *{kind.value}*."]
        if success := getattr(row, "success", None):
            facts.append(f"Success in the documents: `{success.rstrip('.')}`.")
        if page_size := getattr(row, "page_size", None):
            facts.append(f"{page_size} on a page.")
        if limits := getattr(row, "limits", None):
            facts.append("At most: " + ", ".join(f"`{field}` {most}" for field, most in limits.items()) + ".")
        if note := SOURCES.get(getattr(row, "source", "")):
            facts.append(f"**{note}.**")
        return self.parse_text_to_nodes(" ".join(facts))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("operations-table", OperationsTable)
    app.add_directive("operation-facts", OperationFacts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
