"""Time of a program until its first response: the import, and the time from there to the response.

Every figure is from a separate process, with byte code written and files in the system's cache. Programs take
turns, round after round; ratios are within a round.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

from throughput import serving

OWN, PEER = "publitrac_async", "aiohttp + httpx"
#: Imports before the first call, by program.
IMPORTS = {
    "nothing": "pass",
    "aiohttp": "import aiohttp",
    "httpx": "import httpx",
    PEER: "import aiohttp, httpx",
    OWN: "from publitrac_async import Lead, PublitracClient",
}
#: First call, for programs that make one. This package requests a token first.
CALLS = {
    "aiohttp": """
    async with aiohttp.ClientSession() as session:
        async with session.post(BASE + "/lead/", json={}) as response:
            await response.read()
""",
    "httpx": """
    async with httpx.AsyncClient() as client:
        await client.post(BASE + "/lead/", json={})
""",
    PEER: """
    async with aiohttp.ClientSession() as session:
        async with session.post(BASE + "/lead/", json={}) as response:
            await response.read()
""",
    OWN: """
    async with PublitracClient(api_key="key", base_url=BASE) as publitrac:
        await publitrac.v2.delayed_sync(Lead(email="john.doe@provider.com"))
""",
}
IMPORT = """
import time
def now():
    return time.perf_counter(), time.process_time()
start = now()
{imports}
imported = responded = now()
"""
CALL = """
import asyncio
BASE = "http://127.0.0.1:{port}"
async def main():
    global responded
{call}
    responded = now()
asyncio.run(main())
"""
END = """
print([(b - a) * 1e3 for pair in ((start, imported), (imported, responded)) for a, b in zip(*pair)])
"""
FIGURES = ("import_ms", "import_cpu_ms", "first_response_ms", "first_response_cpu_ms")


def one(name: str, port: int) -> dict[str, float]:
    """Measure milliseconds of the import, from its end to the first response, and of the whole process."""
    program = IMPORT.format(imports=IMPORTS[name])
    if name in CALLS:
        program += CALL.format(port=port, call=CALLS[name])
    # Without byte code files, every import would compile.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program + END],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    whole = (time.perf_counter() - started) * 1e3
    return dict(zip(FIGURES, json.loads(done.stdout), strict=True)) | {"process_ms": whole}


def run(*, rounds: int) -> dict[str, Any]:
    """Return medians of the rounds, and of the ratios within each round."""
    names = list(IMPORTS)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with serving() as port:
        for name in names:
            one(name, port)  # Writes the byte code.
        for number in range(rounds):
            # Every round starts with another program.
            first = number % len(names)
            for name in names[first:] + names[:first]:
                results[name].append(one(name, port))
    rows: list[dict[str, Any]] = []
    for name, measured in results.items():
        medians = {figure: median(result[figure] for result in measured) for figure in measured[0]}
        without = {} if name in CALLS else dict.fromkeys(FIGURES[2:])
        rows.append({"program": name} | medians | without)
    pairs = list(zip(results[OWN], results[PEER], strict=True))
    return {
        "rounds": rounds,
        # If they are installed, httpx imports them for its command line, which takes a third of its import.
        "rich_and_click_are_installed": all(importlib.util.find_spec(name) for name in ("rich", "click")),
        "import_ms": rows[-1]["import_ms"],
        "token_and_first_call_ms": rows[-1]["first_response_ms"],
        "import_over_aiohttp_and_httpx": median(
            own["import_cpu_ms"] / peer["import_cpu_ms"] for own, peer in pairs
        ),
        "first_call_over_aiohttp": median(
            (own["import_cpu_ms"] + own["first_response_cpu_ms"])
            / (peer["import_cpu_ms"] + peer["first_response_cpu_ms"])
            for own, peer in pairs
        ),
        "rows": rows,
    }


if __name__ == "__main__":
    print(json.dumps(run(rounds=15), indent=2))
