"""Reading of pages of leads: CPU time from bytes to records, and time for which the event loop is blocked.

A page of 100 leads with 46 fields each is read by this package and by plain parsers, which only make dicts of
text: once with most fields empty, as in the vendor's samples, and once with a value in each. Then a client
reads pages of 1,000 leads from a server in another process, plain and compressed.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import random
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from statistics import median
from typing import Any

import lxml.etree
import xmltodict

from publitrac_async import PublitracClient
from publitrac_async.converters import NATIVE_FIELDS
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1.leads import _page_of_leads

VALUES = {
    "id": "470",
    "firstName": "Zoé",
    "lastName": "Smith & Söhne",
    "email": "zoe@example.com",
    "score": "12",
    "doNotCall": "0",
    "isCustomer": "1",
    "createdDate": "2015-08-23 01:35:13",
    "lastUpdated": "2015-10-25 02:20:06",
    "notes": "two lines\nof notes",
}
#: Values of the fields that have none above and are not text.
OTHER_VALUES = {
    "dateOfBirth": "1980-02-29",
    **dict.fromkeys(("nbrEmployees", "revenue"), "1234"),
    **dict.fromkeys(("isAnonymous", "unsubscribed", "emailInvalid", "suspended", "blacklisted"), "0"),
}


def page(leads: int, *, filled: bool = False) -> bytes:
    fields = [*NATIVE_FIELDS, "carColor"]
    values = dict.fromkeys(fields, "some words of it") | OTHER_VALUES | VALUES if filled else VALUES
    lead = "".join(
        f"\n            <{name}>{values.get(name, '').replace('&', '&amp;')}</{name}>" for name in fields
    )
    draw = random.Random(1)  # Identical leads would exceed the limit on the compression ratio.
    body = "".join(
        f"\n        <lead>{lead.replace('470', str(number)).replace('zoe', draw.randbytes(16).hex())}"
        "\n        </lead>"
        for number in range(leads)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<response>\n    <leads>{body}\n    </leads>\n    <paging>'
        f"<page>1</page><items>{leads}</items><offset>{leads}</offset><total>{leads}</total></paging>"
        "<status>2001</status><message>Get leads success.</message></response>"
    ).encode()


def with_publitrac(document: bytes) -> Any:
    return run_steps(_page_of_leads(ServiceResponse(200, document), page=1))


def with_lxml(document: bytes) -> Any:
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = lxml.etree.fromstring(document, parser)
    return [{child.tag: child.text for child in lead} for lead in root.iter("lead")]


def with_elementtree(document: bytes) -> Any:
    return [{child.tag: child.text for child in lead} for lead in ET.fromstring(document).iter("lead")]


def with_xmltodict(document: bytes) -> Any:
    return xmltodict.parse(document, force_list=("lead",))["response"]["leads"]["lead"]


PEER = "lxml to dicts"
READERS: dict[str, Callable[[bytes], Any]] = {
    PEER: with_lxml,
    "ElementTree to dicts": with_elementtree,
    "xmltodict to dicts": with_xmltodict,
    "publitrac_async to leads": with_publitrac,
}


def compared(document: bytes, *, rounds: int) -> list[dict[str, Any]]:
    """Measure the CPU milliseconds of each reader. They take turns; the ratio to lxml is within a round."""
    times: dict[str, list[float]] = {name: [] for name in READERS}
    names = list(READERS)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            READERS[name](document)  # Fills the caches of the processor again.
            started = time.process_time()
            for _ in range(5):
                READERS[name](document)
            times[name].append((time.process_time() - started) / 5 * 1e3)
    return [
        {
            "reader": name,
            "cpu_ms": median(times[name]),
            "min": min(times[name]),
            "times_lxml": median(own / peer for own, peer in zip(times[name], times[PEER], strict=True)),
        }
        for name in names
    ]


def blocked(leads: int, *, rounds: int) -> dict[str, float]:
    """Measure the longest time for which the event loop is blocked, in milliseconds.

    ``page_of_1000_ms`` is the maximum CPU time of any callback of the loop, which other processes do not
    disturb; ``longest_gap_ms`` is the longest wall time between two turns of another task, as median of the
    rounds.

    Occasionally Python's garbage collector visits all objects of the process. That takes longer the more
    modules are loaded: ``full_collection_ms`` here. `gc.freeze` excludes it, as services do after their
    start.
    """
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        return asyncio.run(_blocked(f"http://127.0.0.1:{port}", leads, rounds))
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()


async def _blocked(url: str, leads: int, rounds: int) -> dict[str, float]:
    longest = 0.0
    run_callback = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        nonlocal longest
        started = time.thread_time()
        run_callback(handle)
        longest = max(longest, time.thread_time() - started)

    async def tick(gaps: list[float]) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    pieces: dict[str, list[float]] = {"plain": [], "gzip": []}
    waits: list[float] = []
    client = PublitracClient(api_key="k", username="u", password="p", base_url=url, rate_limit=None)
    async with client as publitrac:
        for read in (publitrac.v1.get_list, publitrac.v1.get_view):
            await read("100")  # Connects, imports, compiles.
        started = time.thread_time()
        gc.collect()
        collection = time.thread_time() - started
        gc.freeze()
        asyncio.Handle._run = timed
        try:
            for _ in range(rounds):
                for kind, read in (("plain", publitrac.v1.get_list), ("gzip", publitrac.v1.get_view)):
                    gaps: list[float] = []
                    ticking = asyncio.create_task(tick(gaps))
                    await asyncio.sleep(0)
                    longest = 0.0
                    found = await read(str(leads))
                    await asyncio.sleep(0)  # Includes the callback that ends the call.
                    pieces[kind].append(longest)
                    waits.append(max(gaps))
                    ticking.cancel()
                    assert len(found.items) == leads
        finally:
            asyncio.Handle._run = run_callback
            gc.unfreeze()
    return {
        f"page_of_{leads}_ms": max(*pieces["plain"], *pieces["gzip"]) * 1e3,
        "median_plain_ms": median(pieces["plain"]) * 1e3,
        "median_gzip_ms": median(pieces["gzip"]) * 1e3,
        "longest_gap_ms": median(waits) * 1e3,
        "full_collection_ms": collection * 1e3,
    }


async def serve() -> None:
    """Serve getList and getView; the name is the number of leads on the page; getView is compressed."""
    responses: dict[bytes, bytes] = {}

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                match = re.search(rb"(list|view)Name=(\d+)", head)
                assert match is not None
                if match[0] not in responses:
                    body, coding = page(int(match[2])), b""
                    if match[1] == b"view":
                        body, coding = gzip.compress(body), b"Content-Encoding: gzip\r\n"
                    fields = b"%bContent-Length: %d\r\n\r\n" % (coding, len(body))
                    responses[match[0]] = b"HTTP/1.1 200 OK\r\n" + fields + body
                writer.write(responses[match[0]])
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def run(*, rounds: int) -> dict[str, Any]:
    """Return rows by reader for both pages, and the time of a page of 1,000 leads, in total and in steps."""
    document, large = page(100), page(1000)
    rows, filled = compared(document, rounds=rounds), compared(page(100, filled=True), rounds=rounds)
    started = time.process_time()
    with_publitrac(large)
    whole = (time.process_time() - started) * 1e3
    return {
        "bytes": len(document),
        "rows": rows,
        "filled": filled,
        "page_of_1000_in_all_ms": whole,
        **blocked(1000, rounds=rounds),
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        for name, figure in run(rounds=9).items():
            for row in figure if isinstance(figure, list) else [figure]:
                print(name, row)
