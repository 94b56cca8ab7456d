"""Rules between options of a command: one needs another, or excludes it.

Only options of the command line count, not defaults and variables of the environment. For options that are
needed, every origin but the default counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import click
from click.core import ParameterSource

from publitrac_async.cli.exits import CommandError

Decorator: TypeAlias = Callable[[Any], Any]


def needs(option: str, *others: str) -> Decorator:
    """Refuse `option` without one of `others`: it would have no effect.

    Args:
        option: name of an option, as the function of the command has it.
        *others: names likewise.
    """

    def check(context: click.Context) -> None:
        if _is_given(context, option) and all(_is_default(context, each) for each in others):
            wanted = " or ".join(_flag(context, each) for each in others)
            raise CommandError(f"{_flag(context, option)} needs {wanted}")

    return _checked(check)


def excludes(option: str, *others: str) -> Decorator:
    """Refuse `option` beside one of `others`: one of them would have no effect."""

    def check(context: click.Context) -> None:
        beside = [_flag(context, each) for each in others if _is_given(context, each)]
        if beside and _is_given(context, option):
            raise CommandError(
                f"{_flag(context, option)} excludes {', '.join(beside)}: leave out one of them"
            )

    return _checked(check)


def _checked(check: Callable[[click.Context], None]) -> Decorator:
    def decorate(command: Any) -> Any:
        @functools.wraps(command)
        def run(*args: Any, **options: Any) -> Any:
            check(click.get_current_context())
            return command(*args, **options)

        return run

    return decorate


def _is_given(context: click.Context, name: str) -> bool:
    # To click 8.2, arguments of any number come from the command line even if there are none.
    empty = context.params.get(name) == ()
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE and not empty


def _is_default(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.DEFAULT


def _flag(context: click.Context, name: str) -> str:
    for parameter in context.command.params:
        if parameter.name == name:
            return name.upper() if isinstance(parameter, click.Argument) else parameter.opts[-1]
    raise LookupError(name)
