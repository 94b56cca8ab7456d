"""`probe`: settle the open points of the vendor's documents on an account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from publitrac_async.client import PublitracClient
from publitrac_async.config import Rate, as_rate
from publitrac_async.probe.client import ProbeClient, Sleep
from publitrac_async.probe.model import POINTS, HarmError, ProbeReport
from publitrac_async.probe.reads import read_points, wrong_credentials
from publitrac_async.probe.reads_v2 import read_v2, wrong_key
from publitrac_async.probe.writes import Writer

#: Far from the limit, since other programs may use the account.
PACE: Final = Rate(5)
_WRITE: Final = "needs a throwaway lead (--write)"
#: Reasons for points that were not settled.
_REASONS: Final = {
    "refusals": "not tried",
    "excess": "not tried: it would exceed the limit",
    "shared_limit": "not tried: it would exceed the limit",
    "transactions": "not tried: only PUBLITRAC knows the address",
    "processing": _WRITE,
    "unicity": _WRITE,
    "empty": _WRITE,
    "annex": _WRITE,
    "partial": _WRITE,
    "time_zone": _WRITE,
}


async def probe(
    client: PublitracClient,
    *,
    write: str | None = None,
    with_wrong_credentials: bool = False,
    rate_limit: Rate | int | None = PACE,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
    sleep: Sleep = asyncio.sleep,
) -> ProbeReport:
    """Settle the open points of the vendor's documents, without harm to the account.

    The probe makes its calls one after the other, within the client's rate limit, and stops at the first sign
    of harm: an excess call, a locked account, refused credentials.

    Args:
        client: client with the credentials; configure few attempts.
        write: address for a throwaway lead, which no lead may have. The probe creates, changes and deletes
            the lead; a static list remains. ``None`` to read only.
        with_wrong_credentials: call v1 once with a wrong password and v2 once with a wrong key, at the end.
        rate_limit: rate of the calls, spaced evenly; a number is calls per second. That of the client holds
            too; ``None`` for that one alone.
        clock: monotonic seconds.
        now: seconds since the epoch.
        sleep: waits between calls, and for a queued lead.

    Returns:
        The findings. ``report.stopped`` is the reason for an early end, ``None`` without one.
    """
    report = ProbeReport(client._base_url)  # noqa: SLF001  (the probe belongs to this package)
    pause = 0.0 if rate_limit is None else as_rate(rate_limit).interval
    probe_client = ProbeClient(client, report, clock=clock, sleep=sleep, pause=pause)
    reason = "not tried"
    try:
        await _settle(probe_client, report, write, wrong=with_wrong_credentials, now=now)
    except HarmError as harm:
        report.stopped = harm.reason
        reason = "not tried: the probe was stopped"
    v1 = "" if probe_client.has_v1 else "not tried: v1 needs user name and password"
    for point in POINTS:
        report.leave_open(point, _REASONS.get(point, "") if not report.stopped and not v1 else v1 or reason)
    return report


async def _settle(
    client: ProbeClient,
    report: ProbeReport,
    write: str | None,
    *,
    wrong: bool,
    now: Callable[[], float],
) -> None:
    if client.has_v1:
        await read_points(client, report)
    token = await read_v2(client, report)
    if write is not None and client.has_v1:
        await Writer(client, report, email=write, token=token, now=now).run()
    if wrong and client.has_v1:
        await wrong_credentials(client, report)
    if wrong and token is not None:
        await wrong_key(client, report)
