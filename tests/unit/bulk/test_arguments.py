"""Arguments of the wrong type: the error names the right one, before anything is read or sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, Lead, PublitracClient
from publitrac_async.bulk import (
    DocketExecutor,
    ErrorBudget,
    Monitor,
    PublitracV2Sink,
    RedisStateStore,
    Resend,
    SourceError,
    SqliteStateStore,
    Verify,
    read_leads,
    serve,
    sync_leads,
)
from tests.support.sinks import RecordingSink, rows
from tests.typing.accepted import FakeV2


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("leads.csv", r"read_leads\(path\)"),
        (Path("leads.csv"), r"read_leads\(path\)"),
        (Lead(email="ada@example.com"), "use a list"),
        ({"email": "ada@example.com"}, "use a list"),
        (None, "an iterable of mappings or leads, not None"),
        (5, "an iterable of mappings or leads, not of type int"),
    ],
)
async def test_a_source_without_rows_is_refused(source: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        await sync_leads(source, RecordingSink())


@pytest.mark.parametrize("sink", [PublitracClient(api_key="k"), "v2", None])
async def test_a_client_is_not_a_sink(sink: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"sink must be publitrac\.v2, publitrac\.v1 or a Sink"):
        await sync_leads(rows(1), sink)


@pytest.mark.parametrize(
    ("argument", "value", "advice"),
    [
        ("mapping", "crm.toml", r"ColumnMapping\.load\(path\)"),
        ("mapping", {"email": "E-post"}, r"ColumnMapping\.from_dict"),
        ("resend", True, "Resend"),
        ("error_budget", 5, "ErrorBudget"),
        ("verify", True, "Verify"),
        ("monitor", print, r"Monitor\(listener\)"),
        ("shutdown", True, "Shutdown"),
        ("state", 5, "path of a file"),
        ("executor", "docket", r"DocketExecutor\(\.\.\.\)"),
        ("min_rows", -1, "at least 0"),
        ("min_rows", 1.5, "whole number"),
        ("results_dir", 5, "path of a folder"),
    ],
)
async def test_an_option_of_another_type_is_refused(argument: str, value: Any, advice: str) -> None:
    sink = RecordingSink()
    with pytest.raises(ConfigurationError, match=f"{argument} must be .*{advice}"):
        await sync_leads(rows(1), sink, **{argument: value})


async def test_reset_excludes_resend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave out one of them"):
        await sync_leads(
            rows(1), RecordingSink(), state=tmp_path / "s", reset=True, resend=Resend(unchanged=True)
        )
    await sync_leads(rows(1), RecordingSink(), state=tmp_path / "s", reset=True, resend=Resend())


@pytest.mark.parametrize(
    "options", [{"share": 50}, {"share": -0.1}, {"failures": -1}, {"in_a_row": 0}, {"share": "0.5"}]
)
def test_a_budget_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="error_budget: "):
        ErrorBudget(**options)


@pytest.mark.parametrize(
    "options",
    [{"interval": 0}, {"listener": "print"}, {"hooks": print}, {"hooks": ["print"]}, {"call_meter": print}],
)
def test_a_monitor_without_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="monitor: "):
        Monitor(**options)


@pytest.mark.parametrize("file", ["leads.xlsx", "leads.parquet"])
def test_only_text_has_an_encoding(file: str) -> None:
    with pytest.raises(SourceError, match="has no encoding: leave it out"):
        read_leads(file, encoding="cp1252")
    assert read_leads(Path(file).with_suffix(".jsonl"), encoding="cp1252").encoding == "cp1252"


@pytest.mark.parametrize("executor", [0, 2.5, "2"])
async def test_a_number_of_calls_is_a_whole_number(executor: Any) -> None:
    with pytest.raises(ConfigurationError, match="concurrency must be a whole number"):
        await sync_leads(rows(1), RecordingSink(), concurrency=executor)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"v1": PublitracClient(api_key="k")}, r"v1 must be publitrac\.v1"),
        ({"timeout": -1}, "timeout must be at least 0 s, or None"),
        ({"rate_limit": 0.5}, r"use Rate\(3, per=2\) for 1\.5 per second"),
    ],
)
def test_settings_of_reading_back(options: dict[str, Any], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        Verify(**{"v1": PublitracClient(api_key="k").v1} | options)


async def test_a_worker_takes_a_sink_and_a_shared_state_store() -> None:
    with pytest.raises(ConfigurationError, match=r"sink must be publitrac\.v2"):
        await serve(PublitracClient(api_key="k"), SqliteStateStore(None))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"such as RedisStateStore\(shared\)"):
        await serve(PublitracClient(api_key="k").v2, SqliteStateStore(None))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="shared must be a SharedRedis"):
        RedisStateStore("redis://localhost")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="chunk_rows must be a whole number"):
        DocketExecutor("redis://localhost")  # type: ignore[arg-type]


async def test_a_fake_of_v2_has_a_sink() -> None:
    fake = FakeV2()
    report = await sync_leads(rows(3), PublitracV2Sink(fake))
    assert (report.accepted, len(fake.sent)) == (3, 3)


@pytest.mark.parametrize("results", [None, [None], [None] * 11])
async def test_a_sink_with_another_number_of_results_is_named_and_its_rows_are_unknown(
    tmp_path: Path, results: Any
) -> None:
    class Wrong(RecordingSink):
        async def send(self, contents: Sequence[Lead]) -> Any:
            await super().send(contents)
            return results

    sink = Wrong(batch_size=10, idempotent=False)
    with pytest.raises(TypeError, match=r"Sink\.send of recording must return one result for each"):
        await sync_leads(rows(10), sink, state=tmp_path / "a.sqlite")
    report = await sync_leads(
        rows(10), RecordingSink(batch_size=10, idempotent=False), state=tmp_path / "a.sqlite"
    )
    assert (report.unknown, len(sink.arrived)) == (10, 10)
