"""Processes that share a file: killed, joined by others, and counted by the times in the file."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections import Counter
from pathlib import Path

#: Prints a line for each departure.
PROGRAM = """
import asyncio, sys
from publitrac_async.shared.file import SharedFile

async def main():
    shared = SharedFile(sys.argv[1], account="the-key")
    # The file keeps the moments at which permits were given. A busy machine moves those at which calls leave.
    shared.limiter._record.correct_departure = lambda number, moment: None
    async def call():
        while True:
            await shared.limiter.acquire()
            print(sys.argv[2], flush=True)
    await asyncio.gather(*(call() for _ in range(8)))

asyncio.run(main())
"""


def departures(path: Path) -> list[float]:
    """The times in the file, oldest first."""
    content = path.read_bytes()
    return sorted(at for (at,) in struct.iter_unpack("<d", content[4096:8192]) if at)


async def start(path: Path, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(path), name, stdout=asyncio.subprocess.PIPE
    )


async def lines(process: asyncio.subprocess.Process, number: int) -> None:
    assert process.stdout is not None
    for _ in range(number):
        assert await process.stdout.readline()


async def test_killed_stopped_and_new_processes_keep_one_limit(tmp_path: Path) -> None:
    path = tmp_path / "limit"
    processes = [await start(path, f"{number}") for number in range(4)]
    await asyncio.gather(*(lines(process, 10) for process in processes))
    processes[0].kill()
    # A stopped process does not delay the others, whatever it was doing.
    os.kill(processes[1].pid, signal.SIGSTOP)
    processes.append(await start(path, "new"))
    await asyncio.gather(*(lines(process, 20) for process in processes[2:]))
    os.kill(processes[1].pid, signal.SIGCONT)
    await asyncio.gather(*(lines(process, 10) for process in processes[1:]))
    counts: Counter[str] = Counter()
    for process in processes[1:]:
        process.kill()
    for process in processes:
        output, _ = await process.communicate()
        counts.update(output.decode().split())
    times = departures(path)
    assert len(times) > 100
    # The guard of 40 ms included.
    assert min(later - before for before, later in zip(times, times[35:], strict=False)) > 1.039
