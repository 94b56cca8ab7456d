"""`sync --dry-run`: show rows as they would be sent, and their problems; send nothing."""

from __future__ import annotations

import json
from typing import Final

from publitrac_async.bulk import ExitStatus, RowTransform, dry_run
from publitrac_async.cli.console import say
from publitrac_async.cli.sync import SyncOptions
from publitrac_async.cli.vendors import VENDORS

_SHOWN: Final = 3


def show_dry_run(options: SyncOptions) -> int:
    """Print the first rows as they would be sent, then every problem with its line and column.

    Returns:
        The exit status: 3 if rows would be rejected.

    Raises:
        SourceError: the source is unreadable.
        MappingError: the mapping does not fit the source.
    """
    rows = rejected = 0
    vendor = VENDORS[options.via]
    transform = RowTransform(vendor.to_record(options), options.load_mapping())
    for row in dry_run(options.open_source(), transform):
        rows += 1
        fields = None if row.content is None else vendor.fields_of(row.content)
        if fields is not None and rows - rejected <= _SHOWN:
            _write(options, {"event": "row", "line": row.line, "fields": fields})
        rejected += fields is None
        for problem in row.problems:
            event = {"event": "problem", "line": row.line, "column": problem.field, "reason": problem.reason}
            _write(options, event)
    if options.as_json:
        _write(options, {"event": "dry run", "rows": rows, "sendable": rows - rejected, "rejected": rejected})
    else:
        say(f"{rows:,} rows: {rows - rejected:,} can be sent, {rejected:,} would be rejected.")
        say("Nothing was sent.")
    return ExitStatus.REJECTED if rejected else ExitStatus.OK


def _write(options: SyncOptions, event: dict[str, object]) -> None:
    if options.as_json:
        say(json.dumps(event, ensure_ascii=False, default=str))
    elif event["event"] == "row":
        say(f"line {event['line']} would be sent as")
        say(json.dumps(event["fields"], ensure_ascii=False, default=str, indent=2))
    else:
        column = f", column {event['column']}" if event["column"] else ""
        say(f"line {event['line']}{column}: {event['reason']}")
