"""Run the benchmarks; write the results as JSON and as a page with charts.

python benchmarks/run.py [--quick] [--only NAME ...] [--into FOLDER] [--publish]
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import machine
import page
import targets

#: Arguments of `run` of each module, in order: for the full benchmark, and for a quick check.
BENCHMARKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rate": ({"seconds": 20}, {"seconds": 6}),
    "latency": ({"seconds": 20}, {"seconds": 8, "sending": [50, 400, 2000], "reading": [50, 400]}),
    "limiter_cost": ({"rounds": 3, "seconds": 1.0}, {"rounds": 1, "seconds": 0.2}),
    "waiting": ({"rounds": 3}, {"rounds": 1}),
    "throughput": ({"rounds": 25, "requests": 1000}, {"rounds": 5, "requests": 500}),
    "cancelling": ({"rounds": 5, "requests": 5000}, {"rounds": 1, "requests": 2000}),
    "marketo": ({"rounds": 5, "calls": 200}, {"rounds": 2, "calls": 40}),
    "reading": ({"rounds": 9}, {"rounds": 3}),
    "bulk": ({"sizes": [100_000, 1_000_000]}, {"sizes": [5_000, 20_000]}),
    "start": ({"rounds": 9}, {"rounds": 3}),
}
#: The results that the documentation quotes.
PUBLISHED = HERE / "published.json"


def main() -> None:
    """Run the benchmarks, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a rough check")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--into", type=Path, default=HERE / "results", help="folder for the results")
    parser.add_argument("--publish", action="store_true", help="use these results in the documentation")
    options = parser.parse_args()
    if options.publish and options.only:
        parser.error("only a run of all benchmarks is published")
    # Imported before the first run, so that a missing peer ends the program at once.
    modules = {name: importlib.import_module(name) for name in options.only or BENCHMARKS}
    results: dict[str, Any] = {"quick": options.quick, "machine": machine.facts()}
    for name, module in modules.items():
        print(f"{name} ...", end=" ", flush=True)
        started = time.monotonic()
        results[name] = module.run(**BENCHMARKS[name][options.quick])
        print(f"{time.monotonic() - started:.0f} s", flush=True)
    results["targets"] = targets.judge(results)
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.into / "index.html").write_text(page.render(results), encoding="utf-8")
    for row in results["targets"]:
        verdict = "kept  " if row["holds"] else "MISSED"
        value = "not measured" if row["measured"] is None else f"{row['measured']:.4g} {row['unit']}".strip()
        print(f"{verdict} {row['target']}: {value} ({row['bound']})")
    print(f"wrote {options.into / 'results.json'} and {options.into / 'index.html'}")
    if options.publish:
        shutil.copy(options.into / "results.json", PUBLISHED)
        print(f"wrote {PUBLISHED}")


if __name__ == "__main__":
    main()
