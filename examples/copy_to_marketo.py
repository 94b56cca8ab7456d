"""Copy leads from PUBLITRAC to Marketo. Run it again to copy changes, or to resume a run that was killed.

Install publitrac_async, set PUBLITRAC_API_KEY, PUBLITRAC_USERNAME and PUBLITRAC_PASSWORD, and
MARKETO_BASE_URL, MARKETO_CLIENT_ID and MARKETO_CLIENT_SECRET, then `python copy_to_marketo.py copy.sqlite`.
A second argument names a filtered list; without it all leads are copied. Fields that are empty in PUBLITRAC
stay unchanged in Marketo. After Ctrl-C calls in flight complete. The exit status is 0 if every lead has an
outcome, 3 if leads were rejected, 1 or 130 if the run ended early.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from publitrac_async import BULK_RETRY, BULK_TIMEOUT, PublitracClient
from publitrac_async.bulk import BulkError, MarketoSink, Monitor, Progress, Shutdown, sync_leads
from publitrac_async.marketo import STANDARD_FIELDS, MarketoClient

# Marketo's REST name by field of the lead. Custom fields have to exist in Marketo: replace carColor by yours.
FIELDS = {**STANDARD_FIELDS, "crm_lead_id": "publitracExternalId", "carColor": "carColor"}


def show(progress: Progress) -> None:
    """Print the progress."""
    print(
        f"{progress.phase}: {progress.done} of {progress.total or '?'}, {progress.rate:.0f} leads per second"
    )


async def main(store: Path, view: str | None = None) -> int:
    """Copy the leads, and return the exit status."""
    shutdown = Shutdown()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shutdown.request)
    async with (
        PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT) as publitrac,
        MarketoClient.from_env(retry=BULK_RETRY) as marketo,
    ):
        report = await sync_leads(
            publitrac.v1.get_leads() if view is None else publitrac.v1.get_view(view),
            MarketoSink(marketo, fields=FIELDS),
            state=store,  # keeps the outcome of each lead for the next run
            monitor=Monitor(show, interval=5.0),
            shutdown=shutdown,
        )
    for state, leads in report.counts.items():
        print(f"{leads:>7} {state}")
    for rejection in report.rejections:
        print(f"lead {rejection.line}: {rejection.reason}", file=sys.stderr)
    if report.stopped:
        print(f"ended early: {report.stopped}", file=sys.stderr)
    print(f"every lead is in {report.results_dir}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:3])))
    except BulkError as error:
        sys.exit(f"{type(error).__name__}: {error.message}")
