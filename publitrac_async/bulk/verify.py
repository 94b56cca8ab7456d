"""Verify: read leads back through v1 and compare them with the rows that were sent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiolimiter import AsyncLimiter
from attrs import define, field, frozen

from publitrac_async.bulk.metrics import RunMetrics
from publitrac_async.bulk.rows import Line, StagedRow
from publitrac_async.bulk.staging import Staging
from publitrac_async.bulk.transform import RowTransform
from publitrac_async.config import Rate, as_rate
from publitrac_async.converters import lead_to_wire
from publitrac_async.errors import ConfigurationError, LeadNotFound, PublitracError
from publitrac_async.models import Lead
from publitrac_async.protocols import V1Api

#: Fields that no response contains ("List and description of all lead fields").
_NEVER_RETURNED: Final = frozenset({"leadSource", "unsubscribeReason"})
_IN_FLIGHT: Final = 8
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 10.0

#: Default rate of reading back.
RATE: Final = Rate(10)

PROCESSED: Final = "processed"
DIFFERS: Final = "differs"
MISSING: Final = "missing"


@frozen(kw_only=True)
class Verify:
    """Settings for reading leads back after a run.

    Attributes:
        v1: façade of an open client.
        rate_limit: rate of reading back; a number means calls per second. Other programs may use the rest of
            the account's limit.
        timeout: seconds to poll for missing leads after the first check; ``None`` without a limit.

    Raises:
        ConfigurationError: a setting is unusable.
    """

    v1: V1Api
    rate_limit: Rate = field(default=RATE, converter=as_rate)
    timeout: float | None = 60.0

    def __attrs_post_init__(self) -> None:
        if not hasattr(self.v1, "get_lead"):
            raise ConfigurationError("verify: v1 must be publitrac.v1")
        if self.timeout is not None and not self.timeout >= 0:
            raise ConfigurationError("verify: timeout must be at least 0 s, or None for no limit")


@frozen(kw_only=True)
class Deviation:
    """A lead that is missing at the service, or differs from the row that was sent.

    Attributes:
        line: see `Row.line`.
        fields: vendor names of the fields that differ; empty if the lead is missing.
    """

    line: Line
    fields: tuple[str, ...]


@frozen(kw_only=True)
class Verification:
    """Result of reading back the rows of a run.

    Attributes:
        checked: number of rows that were looked up.
        processed: number of rows found as they were sent.
        differs: number of rows found with other values.
        missing: number of rows not found within the timeout.
        read: number of leads that v1 returned.
        deviations: the first rows that differ or are missing, at most 100.
        stopped: reason for an early end, ``None`` at the regular end; the other rows count as missing then.
    """

    checked: int
    processed: int
    differs: int
    missing: int
    read: int
    deviations: tuple[Deviation, ...] = field(repr=False)
    stopped: str | None = None


async def read_back(
    settings: Verify,
    staging: Staging,
    transform: RowTransform,
    metrics: RunMetrics,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Verification:
    """Look up every acknowledged row until all are found as they were sent, or until the timeout.

    Args:
        settings: façade, rate and timeout.
        staging: rows of the run.
        transform: transforms a row into the lead that was sent.
        metrics: counts rows.
        clock: monotonic seconds.
        sleep: waits between rounds.
    """
    reader = _Reader(settings, staging, transform, metrics)
    stopped: str | None = None
    try:
        await reader.round()
        timeout = math.inf if settings.timeout is None else settings.timeout
        deadline, wait = clock() + timeout, _FIRST_WAIT
        while await staging.unverified_count() and clock() + wait <= deadline:
            await sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            await reader.round()
    except PublitracError as error:
        stopped = f"{type(error).__name__}: {error.message}"
    return await verification_of(staging, read=reader.read, stopped=stopped)


async def verification_of(staging: Staging, *, read: int = 0, stopped: str | None = None) -> Verification:
    """Return the result up to now."""
    counts, deviations = await staging.verification()
    processed, differs = counts.get(PROCESSED, 0), counts.get(DIFFERS, 0)
    checked = sum(counts.values())
    return Verification(
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
    settings: Verify
    staging: Staging
    transform: RowTransform
    metrics: RunMetrics
    read: int = 0
    _limiter: AsyncLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A capacity of one: a larger bucket would let a burst through.
        self._limiter = AsyncLimiter(1, self.settings.rate_limit.interval)

    async def round(self) -> None:
        """Check all unverified rows once, page by page or lead by lead, whichever takes fewer calls."""
        unverified = await self.staging.unverified_count()
        if not unverified:
            return
        pages = aiter(self.settings.v1.get_leads(read_ahead=0).pages())
        async with self._limiter:
            page = await anext(pages)
        if (page.pages or 1) > unverified:
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
        rows = await self.staging.unverified_by_key(list(found))
        await self._note([(row, found[row.key or ""]) for row in rows])

    async def _one_by_one(self) -> None:
        after = 0
        while rows := await self.staging.unverified(after):
            for start in range(0, len(rows), _IN_FLIGHT):
                group = rows[start : start + _IN_FLIGHT]
                found = await asyncio.gather(*map(self._find, group))
                await self._note(list(zip(group, found, strict=True)))
            after = rows[-1].number

    async def _find(self, row: StagedRow) -> Lead | None:
        email = self._sent(row).email
        assert isinstance(email, str)
        async with self._limiter:
            try:
                lead = await self.settings.v1.get_lead(email)
            except LeadNotFound:
                return None
        self.read += 1
        return lead

    async def _note(self, pairs: Sequence[tuple[StagedRow, Lead | None]]) -> None:
        notes = []
        for row, lead in pairs:
            names = () if lead is None else differing_fields(self._sent(row), lead)
            state = MISSING if lead is None else DIFFERS if names else PROCESSED
            self.metrics.advance(state == PROCESSED)
            notes.append((row.number, state, names))
        await self.staging.set_verified(notes)

    def _sent(self, row: StagedRow) -> Lead:
        return self.transform.lead(row.fields)


def differing_fields(sent: Lead, found: Lead) -> tuple[str, ...]:
    """Return the vendor names of the fields that differ.

    Empty, ``None`` and unset are equal, and so are line breaks that XML does not distinguish, surrounding
    spaces, and a date with and without midnight. Fields that the service never returns are left out.
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
