"""Sync a file of leads. Run it again to send changed rows, or to resume a run that was killed.

Install publitrac_async, set PUBLITRAC_API_KEY, then run `python bulk_sync.py leads.csv`. After Ctrl-C calls
in flight complete. The exit status is 0 if every row has an outcome, 3 if rows were rejected, 1 or 130 if the
run ended early.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from publitrac_async import BULK_RETRY, BULK_TIMEOUT, PublitracClient
from publitrac_async.bulk import BulkError, Monitor, Progress, Shutdown, read_leads, sync_leads


def show(progress: Progress) -> None:
    """Print the progress."""
    print(
        f"{progress.phase}: {progress.done} of {progress.total or '?'}, {progress.rate:.0f} rows per second"
    )


async def main(path: Path) -> int:
    """Sync the leads of a file, and return the exit status."""
    shutdown = Shutdown()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shutdown.request)
    async with PublitracClient.from_env(retry=BULK_RETRY, timeout=BULK_TIMEOUT) as publitrac:
        report = await sync_leads(
            read_leads(path),
            publitrac.v2,
            state=path.with_suffix(".sqlite"),  # keeps the outcome of each lead for the next run
            monitor=Monitor(show, interval=5.0),
            shutdown=shutdown,
        )
    for state, rows in report.counts.items():
        print(f"{rows:>7} {state}")
    for rejection in report.rejections:
        print(f"line {rejection.line}: {rejection.reason}", file=sys.stderr)
    if report.stopped:
        print(f"ended early: {report.stopped}", file=sys.stderr)
    print(f"every row is in {report.results_dir}")
    return report.exit_code


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(Path(sys.argv[1]))))
    except BulkError as error:
        sys.exit(f"{type(error).__name__}: {error.message}")
