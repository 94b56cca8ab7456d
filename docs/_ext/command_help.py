"""A directive that shows the help of a command, as the command prints it."""

from __future__ import annotations

from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from publitrac_async.cli.commands import commands


class CommandHelp(SphinxDirective):
    """What ``publitrac-async COMMAND --help`` prints. Argument: the command."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        group = click.Context(
            commands, info_name="publitrac-async", max_content_width=100, terminal_width=100
        )
        command = commands.get_command(group, self.arguments[0])
        if command is None:
            raise self.error(f"there is no command {self.arguments[0]}")
        with click.Context(command, info_name=command.name, parent=group) as context:
            text = command.get_help(context)
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
