"""`export`: write leads to a file: all leads, or those of a search, view or list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from attrs import frozen

from publitrac_async.bulk import ExitStatus
from publitrac_async.bulk.mapping import field_name
from publitrac_async.cli.clients import open_publitrac
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.lookup import fields_of
from publitrac_async.cli.tables import CsvTable, JsonLines, LeadWriter, Spooled
from publitrac_async.cli.target import Target, opened
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT
from publitrac_async.errors import PublitracError, UnexpectedContent
from publitrac_async.models import Lead
from publitrac_async.pagination import Page, Pager
from publitrac_async.v1.facade import V1
from publitrac_async.v1.query import Condition

_KINDS: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}
#: Seconds between lines of progress.
_PAUSE: Final = 5.0


@frozen(kw_only=True)
class ExportOptions:
    """Options of `export`; its help describes them."""

    file: str
    where: Sequence[tuple[str, str, str]] = ()
    view: str | None = None
    list_name: str | None = None
    fields: str | None = None
    format: str | None = None
    page: int = 1
    skip_unreadable: bool = False

    def kind(self) -> str:
        """Return the format: ``csv``, ``jsonl`` or ``xlsx``.

        Raises:
            CommandError: the suffix of the file is unknown, or the format does not suit standard output.
        """
        to_stdout = self.file == "-"
        kind = self.format or ("jsonl" if to_stdout else _KINDS.get(Path(self.file).suffix.lower()))
        if kind is None:
            raise CommandError(f"{Path(self.file).name} is not .csv, .jsonl or .xlsx: pass --format")
        if to_stdout and kind == "xlsx":
            raise CommandError("a workbook cannot be written to standard output: name a file")
        return kind

    def columns(self) -> list[str] | None:
        """Return the vendor's names of the fields to write, ``None`` for all.

        Raises:
            CommandError: a name is empty or repeated.
        """
        if self.fields is None:
            return None
        names = [field_name(name.strip()) for name in self.fields.split(",")]
        if not all(names) or len(set(names)) < len(names):
            raise CommandError(
                "--fields must be names separated by commas, each once, such as email,lastName"
            )
        return names

    def leads(self, v1: V1) -> Pager[Lead]:
        """Return the selected leads.

        Raises:
            CommandError: more than one of search, view and list.
        """
        return select_leads(v1, where=self.where, view=self.view, list_name=self.list_name, page=self.page)


def select_leads(
    v1: V1,
    *,
    where: Sequence[tuple[str, str, str]],
    view: str | None,
    list_name: str | None,
    page: int = 1,
) -> Pager[Lead]:
    """Return the leads of a search, view or list; without any of them, all leads.

    Raises:
        CommandError: more than one of search, view and list.
    """
    if sum((bool(where), view is not None, list_name is not None)) > 1:
        raise CommandError("--where, --view and --list exclude each other: PUBLITRAC cannot combine them")
    if view is not None:
        return v1.get_view(view, page=page)
    if list_name is not None:
        return v1.get_list(list_name, page=page)
    conditions = [Condition(field_name(name), operator, value) for name, operator, value in where]
    return v1.get_leads(*conditions, page=page)


async def run_export(options: ExportOptions) -> int:
    """Write leads to a file, page by page.

    Returns:
        The exit status: 3 if pages were skipped, or cells left empty because a workbook cannot hold them.

    Raises:
        CommandError: an option is unusable, or the file cannot be written.
        PublitracError: a page could not be read. The pages before it are kept in a file.
    """
    kind, columns = options.kind(), options.columns()
    make = _writer_of(kind)
    async with open_publitrac(retry=BULK_RETRY, timeout=BULK_TIMEOUT) as publitrac:
        leads = options.leads(publitrac.v1)
        with opened(options.file) as target:
            return await _export(leads, make(target.file, columns), target, options)


async def _export(leads: Pager[Lead], table: LeadWriter, target: Target, options: ExportOptions) -> int:
    progress = _Progress(options.page)
    try:
        async for page in leads.pages(skip_unreadable=options.skip_unreadable):
            if progress.count == 0 and options.kind() == "xlsx":
                _check_rows(page)
            for lead in page.items:
                table.write(fields_of(lead))
            target.file.flush()
            progress.note(page)
    except (PublitracError, asyncio.CancelledError) as error:
        if progress.next_page > options.page:
            left_out = table.close()
            kept = target.keep()
            to_stderr(f"{progress.count:,} leads, up to page {progress.next_page - 1}, are in {kept}.")
            to_stderr(f"To export the rest, pass --page {progress.next_page} and another file.")
            _write_all([*progress.remarks(), *left_out])
        if isinstance(error, UnexpectedContent) and not options.skip_unreadable:
            to_stderr(f"Page {progress.next_page} cannot be read: pass --skip-unreadable to skip it.")
        raise
    left_out = table.close()
    target.finish()
    (to_stderr if options.file == "-" else to_stdout)(f"{progress.count:,} leads in {target.name}.")
    _write_all([*progress.remarks(), *left_out])
    return ExitStatus.REJECTED if left_out or progress.unreadable else ExitStatus.OK


def _write_all(lines: Sequence[str]) -> None:
    for line in lines:
        to_stderr(line)


class _Progress:
    """Counts leads, and writes a line to stderr every few seconds."""

    def __init__(self, page: int) -> None:
        self.count = 0
        self.next_page = page
        #: Numbers of the skipped pages, and of the repaired ones.
        self.unreadable: list[int] = []
        self._repaired: list[int] = []
        self._written_at = time.monotonic()

    def note(self, page: Page[Lead]) -> None:
        self.count += len(page.items)
        self.next_page = page.number + 1
        if page.unreadable is not None:
            self.unreadable.append(page.number)
            to_stderr(f"page {page.number:,} cannot be read and is skipped: {page.unreadable.message}")
        if page.repaired:
            self._repaired.append(page.number)
        if time.monotonic() - self._written_at >= _PAUSE:
            self._written_at = time.monotonic()
            pages = f" of {page.pages:,}" if page.pages is not None else ""
            to_stderr(f"page {page.number:,}{pages}: {self.count:,} leads")

    def remarks(self) -> list[str]:
        """Return lines about the pages that were skipped or repaired."""
        lines = []
        if self.unreadable:
            lines.append(f"Skipped because they cannot be read: pages {_numbers(self.unreadable)}.")
        if self._repaired:
            lines.append(f"Repaired because of invalid characters: pages {_numbers(self._repaired)}.")
        return lines


def _numbers(pages: Sequence[int]) -> str:
    shown = ", ".join(f"{page:,}" for page in pages[:20])
    return shown if len(pages) <= 20 else f"{shown} and {len(pages) - 20:,} more"


def _writer_of(kind: str) -> Callable[[IO[bytes], Sequence[str] | None], LeadWriter]:
    if kind == "jsonl":
        return JsonLines
    table: Callable[[IO[bytes], Sequence[str]], LeadWriter] = CsvTable
    if kind == "xlsx":
        try:
            from publitrac_async.cli.workbook import Workbook  # noqa: PLC0415  (a separate library)
        except ModuleNotFoundError as error:
            if error.name != "xlsxwriter":
                raise
            message = "writing .xlsx needs the extra: pip install 'publitrac_async[xlsx]'"
            raise CommandError(message) from None
        table = Workbook

    def make(file: IO[bytes], columns: Sequence[str] | None) -> LeadWriter:
        if columns is not None:
            return table(file, columns)
        return Spooled(lambda found: table(file, found))

    return make


def _check_rows(page: Page[Lead]) -> None:
    from publitrac_async.cli.workbook import check_rows  # noqa: PLC0415  (a separate library)

    if page.total is not None:
        check_rows(page.total - (page.number - 1) * (page.size or 0))
