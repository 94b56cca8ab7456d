"""`sync --dry-run`: what would be sent, and what is wrong, without sending."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from publitrac_async.bulk import Prepared, Preparer, examine, prepare_lead, prepare_marketo_lead
from publitrac_async.cli import vitec
from publitrac_async.cli.console import say
from publitrac_async.cli.exits import Exit
from publitrac_async.cli.lookup import fields_of

if TYPE_CHECKING:
    from publitrac_async.cli.sync import SyncOptions

_SHOWN: Final = 3


def show_dry_run(options: SyncOptions) -> int:
    """Print the first rows as they would be sent, then every problem with its line and column.

    Returns:
        The exit status: 3 if rows would be rejected.

    Raises:
        SourceError: the input cannot be read to its end.
        MappingError: the mapping does not fit it.
    """
    rows = rejected = 0
    prepare, show = _way(options)
    for each in examine(options.open_source(), Preparer(prepare, options.load_mapping())):
        rows += 1
        fields = None if each.record is None else show(each.record)
        if fields is not None and rows - rejected <= _SHOWN:
            _write(options, {"event": "row", "line": each.line, "fields": fields})
        rejected += fields is None
        for complaint in each.complaints:
            _write(
                options,
                {
                    "event": "problem",
                    "line": each.line,
                    "column": complaint.column,
                    "reason": complaint.reason,
                },
            )
    if options.as_json:
        _write(options, {"event": "dry run", "rows": rows, "sendable": rows - rejected, "rejected": rejected})
    else:
        say(f"{rows:,} rows: {rows - rejected:,} can be sent, {rejected:,} would be rejected.")
        say("Nothing was sent.")
    return Exit.REJECTED if rejected else Exit.FINE


def _way(options: SyncOptions) -> tuple[Callable[[Any], Prepared[Any]], Callable[[Any], dict[str, Any]]]:
    """How rows become records, and how these are shown."""
    match options.via:
        case "vitec":
            return partial(vitec.prepare, options), vitec.fields_of
        case "marketo":
            return prepare_marketo_lead, dict
        case _:
            return prepare_lead, fields_of


def _write(options: SyncOptions, event: dict[str, object]) -> None:
    if options.as_json:
        say(json.dumps(event, ensure_ascii=False, default=str))
    elif event["event"] == "row":
        say(f"line {event['line']} would be sent as")
        say(json.dumps(event["fields"], ensure_ascii=False, default=str, indent=2))
    else:
        column = f", column {event['column']}" if event["column"] else ""
        say(f"line {event['line']}{column}: {event['reason']}")
