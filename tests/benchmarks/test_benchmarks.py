"""The benchmarks run and their results have the shape that the page and the documentation need.

No figure is checked: that needs a quiet machine and minutes.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PEERS = ("publitrac_async", "bare aiohttp")

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports a script of the folder; its name is free again afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name}.py").exists():
            del sys.modules[name]


def test_the_throughput_benchmark_fills_its_targets_and_its_page(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    throughput, targets = load("throughput"), load("targets")
    monkeypatch.setattr(throughput, "CLIENTS", {name: throughput.CLIENTS[name] for name in PEERS})
    section = throughput.run(rounds=1, requests=20, concurrencies=(256,), loops=("asyncio",))
    assert {row["client"] for row in section["rows"]} == set(PEERS)
    judged = {row["target"]: row for row in targets.judge({"throughput": section})}
    measured = [row for row in judged.values() if row["measured"] is not None]
    # Peers of two did not run, nor did one call at a time.
    assert len(judged) == 6
    assert len(measured) == 3
    assert load("page").throughput(section).count("<svg") == 2


@pytest.mark.slow
def test_the_cancelling_benchmark_finishes_with_a_whole_pool(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelling = load("cancelling")
    monkeypatch.setattr(cancelling, "CLIENTS", {name: cancelling.CLIENTS[name] for name in PEERS})
    section = cancelling.run(rounds=1, requests=200, concurrency=8)
    for row in section["rows"]:
        assert row["finished"]
        assert row["pool_whole"]
        assert row["cancelled"] <= 0.1
    assert all(row["measured"] is not None for row in load("targets").judge({"cancelling": section}))
    assert load("page").cancelling(section).count("<svg") == 2


@pytest.mark.slow
def test_the_rate_benchmark_measures_each_scenario(load: Load) -> None:
    rate = load("rate")
    section = rate.run(seconds=1, scenarios=("burst", "everything at once"), peers=False)
    assert [row["scenario"] for row in section["rows"]] == ["burst", "everything at once"]
    for row in section["rows"]:
        assert 0 < row["busiest_second"] <= row["requests"]
        assert row["token_requests"] > 0
    assert all(row["measured"] is not None for row in load("targets").judge({"rate": section}))
    assert "everything at once" in load("page").rate(section)


def test_the_limiter_benchmark_measures_each_number_of_waiters(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost, limiters = load("limiter_cost"), load("limiters")
    monkeypatch.setattr(cost, "present", lambda: [limiters.OWN])
    section = cost.run(rounds=1, seconds=0.05, waiters=(1, 50))
    assert [(row["limiter"], row["waiters"]) for row in section["rows"]] == [
        (limiters.OWN, 1),
        (limiters.OWN, 50),
    ]
    assert all(row["measured"] > 0 for row in load("targets").judge({"limiter_cost": section}))


def test_the_marketo_benchmark_measures_writing_and_reading(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketo = load("marketo")
    monkeypatch.setattr(marketo, "CLIENTS", {"publitrac_async, one at a time": 1})
    section = marketo.run(rounds=1, calls=2)
    assert [row["operation"] for row in section["rows"]] == ["sync", "bulk", "read"]
    assert load("page").marketo(section).count("<svg") == 6


@pytest.mark.slow
def test_the_latency_benchmark_measures_sending_and_reading(load: Load) -> None:
    section = load("latency").run(seconds=0.5, sending=(1,), reading=(1,))
    assert {row["task"] for row in section["rows"]} == {"sending", "reading"}
    assert all(row["leads"] and row["connections"] for row in section["rows"])
    assert load("page").latency(section).count("<svg") == 2


def test_the_waiting_benchmark_measures_memory_per_call(load: Load) -> None:
    # Few calls fit into memory that was freed before, and the process does not grow.
    section = load("waiting").run(rounds=1, calls=1_000)
    assert all(row["bytes_each"] > 0 for row in section["rows"])
    assert load("page").waiting(section).count("<svg") == 1


async def test_every_limiter_that_is_installed_gives_permits(load: Load) -> None:
    limiters = load("limiters")
    assert limiters.OWN in limiters.present()
    for name in limiters.present():
        limiter = limiters.LIMITERS[name][0](1000)
        await limiter.acquire()
        limiter.pause(0.0)


@pytest.mark.parametrize(
    ("arrivals", "busiest"),
    [([], 0), ([5.0], 1), ([0.0, 0.5, 0.999, 1.0], 3), ([2.0, 0.0, 1.5, 2.4], 3), ([0.0, 1.0, 2.0], 1)],
)
def test_the_busiest_second_is_found_in_any_order_of_arrivals(
    load: Load, arrivals: list[float], busiest: int
) -> None:
    assert load("rate").busiest_second(arrivals) == busiest


def test_the_command_writes_results_and_page(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, marketo = load("run"), load("marketo")
    monkeypatch.setattr(marketo, "run", lambda **_: {"rows": []})
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--only", "marketo", "--into", str(tmp_path)])
    run.main()
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["quick"]
    assert written["machine"]["versions"]["publitrac_async"]
    assert "A quick run" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert str(tmp_path / "results.json") in capsys.readouterr().out


def test_single_benchmarks_are_not_published(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "start", "--publish"])
    with pytest.raises(SystemExit):
        load("run").main()


def test_a_published_run_is_of_all_benchmarks_and_judged_by_the_targets_of_today(load: Load) -> None:
    published = json.loads((FOLDER / "published.json").read_text(encoding="utf-8"))
    targets, run = load("targets"), load("run")
    assert set(run.BENCHMARKS) < set(published)
    assert published["targets"] == targets.judge(published)
    assert len(published["targets"]) == len(targets.TARGETS)
    page = load("page").render(published)
    for title, _ in load("page").SECTIONS.values():
        assert f"<h2>{title}</h2>" in page
