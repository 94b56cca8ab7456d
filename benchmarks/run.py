"""Run every benchmark and write `results/results.json` and a page with charts, `results/index.html`.

python benchmarks/run.py [--quick]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import bulk
import limits
import page
import reading
import start
import throughput


def main() -> None:
    """Measure, write, say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, no evidence")
    quick = parser.parse_args().quick
    results = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("aiohttp", "httpx", "aiolimiter")},
        "throughput": throughput.run(rounds=1 if quick else 5, requests=1000 if quick else 5000),
        "reading": reading.run(rounds=3 if quick else 9),
        "limits": limits.run(seconds=2 if quick else 10),
        "bulk": bulk.run(sizes=[1_000, 10_000] if quick else [100_000, 1_000_000]),
        "start": start.run(rounds=3 if quick else 9),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    (folder / "index.html").write_text(page.render(results), encoding="utf-8")
    print(f"wrote {folder / 'results.json'} and {folder / 'index.html'}")


if __name__ == "__main__":
    main()
