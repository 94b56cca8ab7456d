"""`sync --dry-run`: show columns, rows as they would be sent, problems and warnings; send nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from attrs import define, field

from publitrac_async.bulk import ExitStatus, FileSource, RowTransform, dry_run
from publitrac_async.bulk.columns import Column
from publitrac_async.bulk.rows import Line, Row, as_row
from publitrac_async.bulk.sources.files import Files
from publitrac_async.cli.console import to_stdout
from publitrac_async.cli.sync import SyncOptions
from publitrac_async.cli.vendors import VENDORS

_SHOWN: Final = 3
_EXAMPLES: Final = 2
_EXAMPLE_LENGTH: Final = 24


@define
class _Filled:
    """Filled cells of a column."""

    count: int = 0
    examples: list[str] = field(factory=list)

    def add(self, cell: object) -> None:
        """Count a cell."""
        if len(self.examples) == _EXAMPLES and isinstance(cell, str):
            self.count += bool(cell) and not cell.isspace()
            return
        text = "" if cell is None else str(cell).strip()
        if not text:
            return
        self.count += 1
        if len(self.examples) < _EXAMPLES and text not in self.examples:
            self.examples.append(text[:_EXAMPLE_LENGTH])


@define
class _Watched:
    """Source that yields the rows of another source, and counts the filled cells of each column."""

    source: Any
    filled: dict[str, _Filled] = field(factory=dict)

    def __iter__(self) -> Any:
        for number, item in enumerate(self.source, 1):
            row: Row = as_row(item, number)
            if isinstance(row.fields, dict) and row.problem is None:
                for name, cell in row.fields.items():
                    self.filled.setdefault(name, _Filled()).add(cell)
            yield row


def show_dry_run(options: SyncOptions) -> int:
    """Print the columns, the first rows as they would be sent, problems and warnings.

    Returns:
        The exit status: 3 if rows would be rejected.

    Raises:
        SourceError: the source is unreadable, or has too few rows.
        MappingError: the mapping does not fit the source.
    """
    vendor = VENDORS[options.via]
    to_record = vendor.to_record(options)
    transform = RowTransform(
        to_record, options.load_mapping(), options.strict, getattr(to_record, "own_columns", None)
    )
    source = options.open_source()
    watched = _Watched(source)
    rows = rejected = 0
    shown: list[dict[str, Any]] = []
    problems: dict[tuple[str | None, str], list[Line]] = {}
    checked = dry_run(watched, transform, source)
    for row in islice(checked, options.limit):
        rows += 1
        if row.content is None:
            rejected += 1
        elif len(shown) < _SHOWN:
            shown.append({"event": "row", "line": row.line, "fields": vendor.fields_of(row.content)})
        for problem in row.problems:
            problems.setdefault((problem.field, problem.reason), []).append(row.line)
    options.check_row_count(source, rows)
    events = [
        *_columns(transform, watched.filled),
        *_files(source),
        *shown,
        *_problems(problems),
        *_warnings(transform),
        {"event": "dry run", "rows": rows, "sendable": rows - rejected, "rejected": rejected},
    ]
    for event in events:
        to_stdout(json.dumps(event, ensure_ascii=False, default=str) if options.as_json else _as_text(event))
    if not options.as_json:
        to_stdout("Nothing was sent.")
    return ExitStatus.REJECTED if rejected else ExitStatus.OK


def _files(source: FileSource) -> Iterable[dict[str, Any]]:
    """Return the detected format of each file, so that the user can check it."""
    for file in source.files if isinstance(source, Files) else [source]:
        found = {
            "encoding": file.encoding,
            "delimiter": file.delimiter,
            "sheet": file.workbook_sheet,
            "other_sheets": file.other_sheets,
        }
        yield {"event": "file", "file": file.name} | {name: value for name, value in found.items() if value}


def _columns(transform: RowTransform, filled: dict[str, _Filled]) -> Iterable[dict[str, Any]]:
    columns: Sequence[Column] = transform.columns.resolved()
    for column in columns:
        cells = filled.get(column.name, _Filled())
        yield {
            "event": "column",
            "column": column.name,
            "kind": column.kind,
            "field": column.field,
            "note": column.note,
            "filled": cells.count,
            "examples": cells.examples,
        }


def _problems(problems: dict[tuple[str | None, str], list[Line]]) -> Iterable[dict[str, Any]]:
    for (column, reason), lines in sorted(problems.items(), key=lambda each: -len(each[1])):
        yield {
            "event": "problem",
            "line": lines[0],
            "column": column,
            "reason": reason,
            "count": len(lines),
            "lines": lines[:_SHOWN],
        }


def _warnings(transform: RowTransform) -> Iterable[dict[str, Any]]:
    for each in transform.notes.warnings:
        yield {
            "event": "warning",
            "column": each.column,
            "reason": each.kind,
            "count": each.count,
            "lines": each.lines,
        }
    for name, count in transform.notes.withheld.items():
        yield {"event": "withheld", "field": name, "count": count}


def _as_text(event: dict[str, Any]) -> str:
    match event["event"]:
        case "column":
            target = event["field"] if event["kind"] == "native" else event["kind"]
            if event["kind"] == "custom":
                target = f"custom field {event['field']}"
            examples = f": {', '.join(event['examples'])}" if event["examples"] else ""
            note = f" ({event['note']})" if event["note"] else ""
            name = event["column"] or "(no name)"
            return f"column {name} -> {target}{note}; {event['filled']:,} filled{examples}"
        case "file":
            parts = [
                f"{name} {event[name]!r}" for name in ("encoding", "delimiter", "sheet") if name in event
            ]
            if "other_sheets" in event:
                parts.append(f"not read: {', '.join(event['other_sheets'])}")
            return f"file {event['file']}: {', '.join(parts)}" if parts else f"file {event['file']}"
        case "row":
            fields = json.dumps(event["fields"], ensure_ascii=False, default=str, indent=2)
            return f"line {event['line']} would be sent as\n{fields}"
        case "problem" | "warning":
            column = f", column {event['column']}" if event["column"] else ""
            if event["count"] == 1:
                return f"{event['event']}: line {event['lines'][0]}{column}: {event['reason']}"
            lines = ", ".join(map(str, event["lines"]))
            more = ", ..." if event["count"] > len(event["lines"]) else ""
            rows = f"{event['count']:,} rows (lines {lines}{more})"
            return f"{event['event']}: {rows}{column}: {event['reason']}"
        case "withheld":
            return (
                f"consent: {event['count']:,} rows have no in {event['field']}, which would revoke an "
                "opt-out. It is not sent unless the mapping allows it."
            )
        case _:
            counts = f"{event['sendable']:,} can be sent, {event['rejected']:,} would be rejected"
            return f"{event['rows']:,} rows: {counts}."
