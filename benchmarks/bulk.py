"""A bulk run through a transport that answers at once: rows a second, CPU a row, peak memory.

Each size runs in a process of its own, with a ledger, so that the peaks can be compared: memory must not
grow with the number of rows. ``python bulk.py COUNT FOLDER`` is one such process.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

SUCCESS = b'{"status": "success", "code": 200}'
TOKEN = b'{"token": "djs4fdn4dJTer489!", "ttl": "900"}'


class NullTransport(httpx.AsyncBaseTransport):
    """Takes every request and says yes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = TOKEN if request.method == "GET" else SUCCESS
        headers = [(b"content-length", b"%d" % len(body))]
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


def rows(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {
            "email": f"lead{number}@example.com",
            "firstName": "Zoé",
            "lastName": f"Smith {number}",
            "phone": "+1 555 555 2149",
            "company": "Example & Sons",
            "score": str(number % 100),
            "carColor": "Red",
        }


async def one(count: int, folder: Path) -> dict[str, float]:
    from publitrac_async import PublitracClient
    from publitrac_async.bulk import sync_leads

    wall, cpu = time.perf_counter(), time.process_time()
    async with PublitracClient(api_key="key", transport=NullTransport(), rate_limit=None) as publitrac:
        report = await sync_leads(rows(count), publitrac.v2, ledger=folder / "run.sqlite")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert report.accepted == count, report
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": count,
        "rows_per_second": count / wall,
        "cpu_us_per_row": cpu / count * 1e6,
        "peak_mb": peak / (1024 if sys.platform == "linux" else 1024 * 1024),
    }


def run(*, sizes: list[int]) -> dict[str, Any]:
    """Each size in turn."""
    measured = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, str(size), folder], check=True, capture_output=True, text=True
            )
            measured.append(json.loads(done.stdout))
    return {"runs": measured}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(one(int(sys.argv[1]), Path(sys.argv[2])))))
