"""Accepted is not processed: read leads back through v1 and compare them with what was sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiolimiter import AsyncLimiter
from attrs import define, field, frozen

from publitrac_async.bulk.preparing import Preparer
from publitrac_async.bulk.progress import Course
from publitrac_async.bulk.spool import Spool, Unconfirmed
from publitrac_async.converters import lead_to_wire
from publitrac_async.errors import ConfigurationError, LeadNotFound, PublitracError
from publitrac_async.models import Lead
from publitrac_async.v1 import V1

#: Sent, but in no answer ("List and description of all lead fields").
_NEVER_RETURNED: Final = frozenset({"leadSource", "unsubscribeReason"})
_IN_FLIGHT: Final = 8
_PAGE_SIZE: Final = 100
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 10.0

PROCESSED: Final = "processed"
DIFFERS: Final = "differs"
MISSING: Final = "missing"


@frozen(kw_only=True)
class Confirm:
    """How leads are read back after a run.

    Attributes:
        v1: façade of an open client.
        calls_per_second: share of the account's limit that reading back may take, so that other programs
            keep the rest.
        patience: seconds that leads get to arrive, after all were looked for once.
    """

    v1: V1
    calls_per_second: float = 10.0
    patience: float = 60.0

    def __attrs_post_init__(self) -> None:
        if self.calls_per_second <= 0 or self.patience < 0:
            raise ConfigurationError("confirm: calls_per_second must be above 0, patience not below")


@frozen(kw_only=True)
class Deviation:
    """A lead that was not found as it was sent.

    Attributes:
        line: of the input.
        fields: that differ, by the vendor's names; none if the lead never arrived.
    """

    line: int
    fields: tuple[str, ...]


@frozen(kw_only=True)
class Confirmation:
    """What was read back of the rows that this run brought to the service.

    Attributes:
        checked: rows looked for.
        processed: found as they were sent.
        differs: found with other values.
        missing: not found within the patience.
        read: leads that v1 returned.
        deviations: the first rows that differ or are missing, at most 100.
        stopped: why the reading ended early, ``None`` if it did not; the rest counts as missing then.
    """

    checked: int
    processed: int
    differs: int
    missing: int
    read: int
    deviations: tuple[Deviation, ...] = field(repr=False)
    stopped: str | None = None


async def read_back(
    settings: Confirm,
    spool: Spool,
    prepare: Preparer,
    course: Course,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Confirmation:
    """Look for every row that the service took, until all are as they were sent or patience ends.

    Args:
        settings: façade, share and patience.
        spool: with the rows of the run.
        prepare: makes a row into the lead that was sent.
        course: told of the progress.
        clock: monotonic seconds.
        sleep: waits between rounds.
    """
    reader = _Reader(settings, spool, prepare, course)
    stopped: str | None = None
    try:
        await reader.round()
        deadline, wait = clock() + settings.patience, _FIRST_WAIT
        while await spool.left() and clock() + wait <= deadline:
            await sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            await reader.round()
    except PublitracError as error:
        stopped = f"{type(error).__name__}: {error.message}"
    return await confirmation_of(spool, read=reader.read, stopped=stopped)


async def confirmation_of(spool: Spool, *, read: int = 0, stopped: str | None = None) -> Confirmation:
    """What is known of the rows that were looked for so far."""
    counts, deviations = await spool.confirmation()
    processed, differs = counts.get(PROCESSED, 0), counts.get(DIFFERS, 0)
    checked = sum(counts.values())
    return Confirmation(
        checked=checked,
        processed=processed,
        differs=differs,
        missing=checked - processed - differs,
        read=read,
        deviations=tuple(Deviation(line=line, fields=fields) for line, fields in deviations),
        stopped=stopped,
    )


@define
class _Reader:
    settings: Confirm
    spool: Spool
    prepare: Preparer
    course: Course
    read: int = 0
    _limiter: AsyncLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        # One at a time: a bucket would let its whole content through at once.
        self._limiter = AsyncLimiter(1, 1 / self.settings.calls_per_second)

    async def round(self) -> None:
        """Look once for all rows that are left, in the way that takes fewer calls."""
        left = await self.spool.left()
        if not left:
            return
        pages = aiter(self.settings.v1.get_leads().pages())
        async with self._limiter:
            page = await anext(pages)
        if (page.pages or 1) > left:
            await self._one_by_one()
            return
        while True:
            self.read += len(page.items)
            await self._compare_page(page.items)
            try:
                async with self._limiter:
                    page = await anext(pages)
            except StopAsyncIteration:
                return

    async def _compare_page(self, leads: Sequence[Lead]) -> None:
        found = {lead.email.casefold(): lead for lead in leads if isinstance(lead.email, str)}
        rows = await self.spool.unconfirmed_by_key(list(found))
        await self._note([(row, found[row.key]) for row in rows])

    async def _one_by_one(self) -> None:
        after = 0
        while rows := await self.spool.unconfirmed(after):
            for start in range(0, len(rows), _IN_FLIGHT):
                group = rows[start : start + _IN_FLIGHT]
                found = await asyncio.gather(*map(self._find, group))
                await self._note(list(zip(group, found, strict=True)))
            after = rows[-1].number

    async def _find(self, row: Unconfirmed) -> Lead | None:
        email = self._sent(row).email
        assert isinstance(email, str)
        async with self._limiter:
            try:
                lead = await self.settings.v1.get_lead(email)
            except LeadNotFound:
                return None
        self.read += 1
        return lead

    async def _note(self, pairs: Sequence[tuple[Unconfirmed, Lead | None]]) -> None:
        notes = []
        for row, lead in pairs:
            names = () if lead is None else differing_fields(self._sent(row), lead)
            state = MISSING if lead is None else DIFFERS if names else PROCESSED
            self.course.advance(state == PROCESSED)
            notes.append((row.number, state, names))
        await self.spool.confirm(notes)

    def _sent(self, row: Unconfirmed) -> Lead:
        return self.prepare.lead(row.fields)


def differing_fields(sent: Lead, found: Lead) -> tuple[str, ...]:
    """The fields of `sent` that `found` has with another value, by the vendor's names.

    Empty, ``None`` and unset are one here; so are the line breaks that XML cannot tell apart, spaces at
    the ends, and a date with and without midnight. Fields that the service never returns are left out.
    """
    expected, actual = _flat(sent), _flat(found)
    return tuple(
        name
        for name, value in expected.items()
        if name not in _NEVER_RETURNED and not _same(name, value, actual.get(name, ""))
    )


def _flat(lead: Lead) -> Mapping[str, str]:
    native, custom = lead_to_wire(lead, "confirm")
    return {name: _text(value) for name, value in (native | custom).items()}


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n").strip()


def _same(name: str, sent: str, found: str) -> bool:
    if name == "email":
        return sent.casefold() == found.casefold()
    return found in {sent, f"{sent} 00:00:00"}
