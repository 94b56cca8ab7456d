"""A directive for the fault matrix, from the marks of the tests."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tests.support.fault_matrix import ROWS, marked


class FaultMatrix(SphinxDirective):
    """The table of all faults."""

    def run(self) -> list[nodes.Node]:
        tests = marked()
        lines = ["| | fault | cases | must hold besides | tests |", "|---|---|---|---|---|"]
        for row, (fault, cases, holds) in ROWS.items():
            names = ", ".join(f"`{name}`" for name in tests[row])
            lines.append(f"| {row} | {fault} | {cases} | {holds} | {names} |")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("fault-matrix", FaultMatrix)
    return {"parallel_read_safe": True}
