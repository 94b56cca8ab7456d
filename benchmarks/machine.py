"""What all benchmarks share: processes of their own, cores of their own, and what the machine is."""

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
#: What the figures depend on; those that are not installed are left out.
DISTRIBUTIONS = (
    "publitrac_async", "aiohttp", "httpx", "httpx-aiohttp", "uvloop", "orjson", "cattrs", "aiolimiter",
    "pyrate-limiter", "asyncio-throttle", "throttler", "asynciolimiter", "throttled-py", "limits",
    "marketorestpython", "xmltodict", "lxml",
)  # fmt: skip


def pin(core: int, process: int = 0) -> None:
    """Keep a process (this one by default) on one core, where there are several and the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(process, {core})


def installed(module: str) -> bool:
    """Whether a peer can be measured here."""
    return importlib.util.find_spec(module) is not None


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """The port of the fast server, in a process of its own on the second core."""
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
    """Run a script of this folder as a process of its own; it prints one line of JSON."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(name: str, values: list[float]) -> dict[str, float]:
    """Median, least and greatest of the rounds, under `name`, `name_min` and `name_max`."""
    return {name: median(values), f"{name}_min": min(values), f"{name}_max": max(values)}


def facts() -> dict[str, Any]:
    """The machine and the versions a result belongs to."""
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
