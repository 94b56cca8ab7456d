"""What a program pays before its first call is out: the import, and the first call after it."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Any

from throughput import serving

IMPORT = """
import time
started = time.perf_counter()
import publitrac_async
print((time.perf_counter() - started) * 1e3)
"""
FIRST_CALL = """
import asyncio, sys, time
from publitrac_async import Lead, PublitracClient

async def main():
    started = time.perf_counter()
    async with PublitracClient(api_key="key", base_url=f"http://127.0.0.1:{sys.argv[1]}") as publitrac:
        await publitrac.v2.delayed_sync(Lead(email="john.doe@provider.com"))
        print((time.perf_counter() - started) * 1e3)

asyncio.run(main())
"""


def milliseconds(code: str, *arguments: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, timeout=60
    )
    return float(done.stdout)


def run(*, rounds: int) -> dict[str, Any]:
    """Median milliseconds of wall time."""
    milliseconds(IMPORT)  # Writes the byte code.
    with serving() as port:
        first = [milliseconds(FIRST_CALL, str(port)) for _ in range(rounds)]
    return {
        "import_ms": median(milliseconds(IMPORT) for _ in range(rounds)),
        "log_in_and_first_call_ms": median(first),
    }


if __name__ == "__main__":
    print(run(rounds=7))
