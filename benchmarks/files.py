"""Dry run of a file: its CPU relative to a plain loop, in one process, and its memory.

The loop makes a `Lead` of each row, checks it and hashes it, the minimum before a lead can be sent. The dry
run also strips and converts cells, looks for damage, counts values withheld for consent, and lists problems.
Both take turns, so their ratio depends little on the machine; the target is at most 1.3. Run it by ``python
benchmarks/files.py 200000``.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from publitrac_async.bulk import RowTransform, dry_run, publitrac_record, read_leads

ROUNDS = 3


def write_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "email",
                "firstName",
                "lastName",
                "phone",
                "company",
                "score",
                "carColor",
                "dateOfBirth",
                "isCustomer",
            ]
        )
        for number in range(count):
            writer.writerow(
                [
                    *(
                        f"lead{number}@example.com",
                        "Zoé",
                        f"Smith {number}",
                        f"+1 555 555 {number % 10000:04}",
                    ),
                    *("Example & Sons", number % 100, "Red", "1980-05-12", number % 2),
                ]
            )


def plain_loop(path: Path) -> int:
    return sum(publitrac_record(row.fields) is not None for row in read_leads(path))


def dry(path: Path) -> int:
    source = read_leads(path)
    return sum(row.content is not None for row in dry_run(source, RowTransform(), source))


def _seconds(work: Callable[[Path], int], path: Path, count: int) -> float:
    before = time.process_time()
    assert work(path) == count
    return time.process_time() - before


def one(count: int) -> dict[str, Any]:
    """Measure the CPU of both in microseconds per row (best round), their ratio, and the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        write_csv(path, count)
        loops, runs = [], []
        for _ in range(ROUNDS):
            runs.append(_seconds(dry, path, count))
            loops.append(_seconds(plain_loop, path, count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": count,
        "loop_cpu_us_per_row": min(loops) / count * 1e6,
        "dry_run_cpu_us_per_row": min(runs) / count * 1e6,
        "ratio": min(runs) / min(loops),
        "peak_mb": peak / (1024 if sys.platform == "linux" else 1024 * 1024),
    }


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(one(int(sys.argv[1]))))
