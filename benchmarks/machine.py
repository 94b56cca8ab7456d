"""Helpers of all benchmarks: separate processes and cores, and facts about the machine."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
#: Packages on which the figures depend; those that are not installed are left out.
DISTRIBUTIONS = (
    "publitrac_async", "aiohttp", "httpx", "httpx-aiohttp", "uvloop", "orjson", "cattrs", "aiolimiter",
    "pyrate-limiter", "asyncio-throttle", "throttler", "asynciolimiter", "throttled-py", "limits",
    "marketorestpython", "xmltodict", "lxml",
)  # fmt: skip


def pin(core: int, process: int = 0) -> None:
    """Pin a process (this one by default) to one core, if there are several and the system supports it."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(process, {core})


def installed(module: str) -> bool:
    """Return True if a module is installed."""
    return importlib.util.find_spec(module) is not None


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """Run the fast server in a separate process, on the second core; yield its port."""
    server = subprocess.Popen(
        [sys.executable, HERE / "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    pin(1, server.pid)
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()


def measured(script: str, *arguments: object, timeout: float = 300) -> Any:
    """Run a script of this folder as a separate process, and return the JSON that it prints."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Return median, minimum and maximum of the rounds as `name`, `name_min` and `name_max`."""
    return {name: median(values), f"{name}_min": min(values), f"{name}_max": max(values)}


def facts() -> dict[str, Any]:
    """Return facts about the machine, and the versions of packages."""
    versions = {}
    for name in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "versions": versions,
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
