"""`lists`: add leads to a static list, or remove a lead from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from publitrac_async.bulk import ExitStatus, FileSource, RowTransform, read_leads
from publitrac_async.bulk.cells import parse_email, strip
from publitrac_async.bulk.transform import ColumnCheck
from publitrac_async.checks import email_problem
from publitrac_async.cli.clients import open_publitrac
from publitrac_async.cli.console import to_stderr, to_stdout
from publitrac_async.cli.exits import CommandError
from publitrac_async.config import BULK_RETRY, BULK_TIMEOUT
from publitrac_async.errors import LeadNotFound, PublitracError
from publitrac_async.v1.facade import V1

#: Leads per call. addLeadsToList has no documented limit; this is the page size of the other methods.
_TOGETHER: Final = 100


@frozen
class _Entry:
    """Address with its position, which messages quote instead of the address."""

    position: str
    email: Any
    problem: str | None = None


async def add_to_list(list_name: str, emails: tuple[str, ...], file: Path | None) -> int:
    """Add leads to a static list, which is created if missing.

    Returns:
        The exit status: 3 if some addresses are invalid, or have no lead.

    Raises:
        CommandError: both addresses and a file are given, or neither.
        SourceError: the file cannot be read.
        PublitracError: a call failed; the leads of earlier calls are on the list.
    """
    if bool(emails) == (file is not None):
        raise CommandError("name the leads by their addresses, or by a --file with the column email")
    entries = _entries(emails) if file is None else _read(read_leads(file), RowTransform())
    added = not_added = 0
    async with open_publitrac(retry=BULK_RETRY, timeout=BULK_TIMEOUT) as publitrac:
        try:
            while group := list(islice(entries, _TOGETHER)):
                problems = {entry.position: entry.problem for entry in group if entry.problem is not None}
                valid = [entry for entry in group if entry.problem is None]
                problems |= dict.fromkeys(
                    await _add(publitrac.v1, list_name, valid), "the lead does not exist"
                )
                added += len(group) - len(problems)
                not_added += len(problems)
                for position, problem in problems.items():
                    to_stderr(f"{position}: {problem}")
        except PublitracError:
            if added:
                to_stderr(f"{added:,} leads were added before this error; adding them again is harmless.")
            raise
    to_stdout(f"{added:,} added to the list, {not_added:,} not.")
    return ExitStatus.REJECTED if not_added else ExitStatus.OK


def done_rows(results: Path, source: FileSource) -> FileSource:
    """Return the result file with the rows of a source that are done."""
    (path,) = results.glob("done.*")
    return read_leads(path, encoding=source.encoding or "utf-8", delimiter=source.delimiter)


async def add_rows_to_list(
    name: str, source: FileSource, transform: RowTransform, max_wait: float
) -> tuple[int, int]:
    """Add the leads of a result file to a static list, and wait for leads that v2 has not processed yet.

    Args:
        name: name of the list, which is created if missing.
        source: the file.
        transform: determines the column of the address.
        max_wait: seconds to wait for leads that do not exist yet.

    Returns:
        The number of rows whose lead is on the list, and of those without a lead.

    Raises:
        SourceError: the file is unreadable.
        PublitracError: a call failed.
    """
    clock = asyncio.get_running_loop().time
    added, pause = 0, 1.0
    async with open_publitrac(retry=BULK_RETRY, timeout=BULK_TIMEOUT) as publitrac:
        entries = list[_Entry]()
        rows = _read(source, transform)
        while group := list(islice(rows, _TOGETHER)):
            missing = set(await _add(publitrac.v1, name, group))
            added += len(group) - len(missing)
            entries += [entry for entry in group if entry.position in missing]
        deadline = clock() + max_wait
        while entries and clock() + pause <= deadline:
            await asyncio.sleep(pause)
            pause *= 2
            left = list[_Entry]()
            for start in range(0, len(entries), _TOGETHER):
                group = entries[start : start + _TOGETHER]
                missing = set(await _add(publitrac.v1, name, group))
                left += [entry for entry in group if entry.position in missing]
            added += len(entries) - len(left)
            entries = left
    return added, len(entries)


async def remove_from_list(list_name: str, email: str) -> int:
    """Remove a lead from a static list.

    Returns:
        The exit status.

    Raises:
        LeadNotFound: the lead does not exist.
        NotFound: the list does not exist.
    """
    async with open_publitrac() as publitrac:
        await publitrac.v1.remove_lead_from_list(email, list_name)
    to_stdout("Removed from the list.")
    return ExitStatus.OK


async def _add(v1: V1, list_name: str, entries: list[_Entry]) -> list[str]:
    """Add leads in one call; return the positions of leads that do not exist."""
    missing: list[str] = []
    while entries:
        try:
            await v1.add_leads_to_list([entry.email for entry in entries], list_name)
        except LeadNotFound as error:
            # The documents do not say if the other leads were added, so they are sent again.
            names = {str(problem.value).casefold() for problem in error.problems}
            found = [entry for entry in entries if entry.email.casefold() not in names]
            if len(found) == len(entries):
                raise
            missing += [entry.position for entry in entries if entry not in found]
            entries = found
        else:
            break
    return missing


def _entries(emails: tuple[str, ...]) -> Iterator[_Entry]:
    for number, email in enumerate(emails, 1):
        yield _entry(f"address {number}", email)


def _read(source: FileSource, transform: RowTransform) -> Iterator[_Entry]:
    check = ColumnCheck(transform, source)
    for row in source:
        check.before(row)
        position = f"line {row.line}"
        if row.problem is not None or not isinstance(row.fields, dict):
            yield _Entry(position, None, row.problem)
            continue
        emails = [cell for column, cell in row.fields.items() if transform.columns.maps_to(column, "email")]
        yield _entry(position, next(iter(emails), None))


def _entry(position: str, email: Any) -> _Entry:
    email = strip(email) if isinstance(email, str) else email
    if not isinstance(email, str) or not email:
        problem = email_problem(email)
        return _Entry(position, email, "not an e-mail address" if problem is None else problem.reason)
    try:
        return _Entry(position, parse_email(email, []))
    except ValueError as error:
        return _Entry(position, email, str(error))
