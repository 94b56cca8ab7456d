"""Marketo: batches of 300 leads written, alone and in a bulk run, and pages read; compared to the released
client.

`marketorestpython` pauses to make at most 5 calls per second, and opens a connection for each. This benchmark
removes the pause, which would hide all else, and turns the limiter of this package off for the same reason.
Both get the same fixed responses from the same server. ``python marketo.py CLIENT OPERATION PORT CALLS`` runs
one process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

from machine import installed, measured, pin, serving, spread
from server import PAGE_OF_MARKETO

LEADS = [
    {
        "email": f"lead{number}@example.com",
        "firstName": "Zoé",
        "lastName": f"Smith {number}",
        "company": "Example & Sons",
        "phone": "+1 555 555 2149",
        "leadScore": number,
        "unsubscribed": False,
    }
    for number in range(PAGE_OF_MARKETO)
]
EMAILS = [f"lead{number}@example.com" for number in range(10)]
#: Calls in flight of this package by default; the peer makes one call at a time.
AT_ONCE = 5
CLIENTS = {"publitrac_async, 5 at once": AT_ONCE, "publitrac_async, one at a time": 1, "marketorestpython": 1}


async def own(operation: str, port: int, calls: int, at_once: int) -> dict[str, float]:
    """Measure the client of this package, which returns `MarketoLead`s and `RecordResult`s."""
    from publitrac_async.marketo import MarketoClient

    async with MarketoClient(
        base_url=f"http://127.0.0.1:{port}", client_id="id", client_secret="secret", rate_limit=None
    ) as marketo:

        async def sync() -> int:
            return len(await marketo.sync_leads(LEADS))

        async def read() -> int:
            return len((await marketo.get_leads_by_filter_type("email", EMAILS)).items)

        if operation == "bulk":
            return await bulk(marketo, calls)
        call: Callable[[], Awaitable[int]] = sync if operation == "sync" else read
        assert await call() == PAGE_OF_MARKETO
        todo = iter(range(calls))

        async def work() -> None:
            for _ in todo:
                await call()

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


async def bulk(marketo: Any, calls: int) -> dict[str, float]:
    """Measure a bulk run without a state store, with `calls` batches."""
    from publitrac_async.bulk import MarketoSink, sync_leads

    rows = (
        lead | {"email": f"{call}.{lead['email']}", "leadScore": str(lead["leadScore"])}
        for call in range(calls)
        for lead in LEADS
    )
    wall, cpu = time.perf_counter(), time.process_time()
    report = await sync_leads(rows, MarketoSink(marketo), concurrency=AT_ONCE)
    assert report.ok == calls * PAGE_OF_MARKETO, report
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def released(operation: str, port: int, calls: int) -> dict[str, float]:
    """Measure the released client, whose operations return lists of dicts."""
    from marketorestpython.client import MarketoClient
    from marketorestpython.helper import http_lib

    # Removes its pause between calls, the only use of this name in that module.
    http_lib.time = SimpleNamespace(time=time.time, sleep=lambda _: None)
    client = MarketoClient("000-AAA-000", "id", "secret")
    client.host = f"http://127.0.0.1:{port}"

    def call() -> int:
        if operation == "sync":
            return len(client.create_update_leads(LEADS))
        return len(client.get_multiple_leads_by_filter_type("email", EMAILS))

    assert call() == PAGE_OF_MARKETO
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def run(*, rounds: int, calls: int) -> dict[str, Any]:
    """Return a row for each client and operation: CPU ms per call of 300 leads, and calls per second."""
    names = [name for name in CLIENTS if "publitrac" in name or installed("marketorestpython")]
    rows = []
    times_sync: list[float] = []
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    with serving() as port:
        for _ in range(rounds):
            for operation in ("sync", "bulk", "read"):
                # The bulk run is measured with the default concurrency only.
                for name in names[:1] if operation == "bulk" else names:
                    found = measured("marketo.py", name, operation, port, calls)
                    results.setdefault((name, operation), []).append(found)
            bulk_run, plain = (results[names[0], each][-1] for each in ("bulk", "sync"))
            times_sync.append(bulk_run["cpu"] / plain["cpu"])
    rows = [
        {
            "client": name,
            "operation": operation,
            **spread("cpu_ms", [result["cpu"] / calls * 1e3 for result in mine]),
            **spread("calls_per_second", [calls / result["wall"] for result in mine]),
        }
        for (name, operation), mine in results.items()
    ]
    return {
        "rounds": rounds,
        "calls": calls,
        "leads_in_a_call": PAGE_OF_MARKETO,
        "bulk_times_sync": median(times_sync),
        "rows": rows,
    }


def main() -> None:
    name, operation, port, calls = sys.argv[1:]
    pin(0)
    if name == "marketorestpython":
        print(json.dumps(released(operation, int(port), int(calls))))
    else:
        print(json.dumps(asyncio.run(own(operation, int(port), int(calls), CLIENTS[name]))))


if __name__ == "__main__":
    main()
