"""Arguments of the wrong type: the error names the right one, before anything is read or sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, Lead, PublitracClient
from publitrac_async.bulk import sync_leads

from .sinks import RecordingSink, rows


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
    ],
)
async def test_an_option_of_another_type_is_refused(argument: str, value: Any, advice: str) -> None:
    sink = RecordingSink()
    with pytest.raises(ConfigurationError, match=f"{argument} must be .*{advice}"):
        await sync_leads(rows(1), sink, **{argument: value})


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
