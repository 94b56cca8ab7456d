"""Parts of `worker` and `status` that need no Redis."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from typing import Any

import pytest

from publitrac_async import ConfigurationError
from publitrac_async.bulk import RunProgress, Shutdown, State
from publitrac_async.cli.bar import screen
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.status import RunLine, table_of
from publitrac_async.cli.worker import _load_opentelemetry, _unless_shut_down
from publitrac_async.opentelemetry import OpenTelemetry


def test_opentelemetry_is_a_hook_or_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(_load_opentelemetry(), OpenTelemetry)
    monkeypatch.setitem(sys.modules, "publitrac_async.opentelemetry", None)
    with pytest.raises(CommandError, match="--opentelemetry: "):
        _load_opentelemetry()


def test_a_table_that_refreshes_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with screen("\n".join) as show:
        show(["first"])
        show(["default", "stopped: [bold]\x1b[2J"])
    out = capsys.readouterr().out
    assert "stopped: [bold]\\u001b[2J" in out
    assert "\x1b[2J" not in out


def run(**changes: Any) -> RunProgress:
    settings: dict[str, Any] = {
        "state_store": "default",
        "run": "a1",
        "destination": "v2",
        "phase": "sending",
        "begun": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "ended": None,
        "stopped": None,
        "starter_alive": True,
        "rows": 1000,
        "refused": 1,
        "in_flight": 64,
        "counts": {State.ACCEPTED: 400, State.RETRY: 2},
        "claimed_chunks": 2,
        "rate": 33.12,
    }
    return RunProgress(**settings | changes)


@pytest.mark.parametrize(
    ("changes", "workers", "remark"),
    [
        ({}, 0, "no worker is running: start some."),
        ({"starter_alive": False}, 1, "workers send the rest."),
        ({"phase": "abandoned", "in_flight": 0}, 1, "the same command resumes it."),
        ({"phase": "abandoned", "in_flight": 0, "rows": 402}, 1, "the same command reports it."),
        ({"phase": "stopped", "stopped": "rejected credentials"}, 1, "stopped: rejected credentials."),
    ],
)
def test_a_run_that_needs_attention_has_a_reason(changes: dict[str, Any], workers: int, remark: str) -> None:
    seen = {f"host#{number}": dt.datetime(2026, 1, 1, tzinfo=dt.UTC) for number in range(workers)}
    lines = [*table_of([RunLine(run(**changes), seen)])]
    assert any(line.endswith(remark) for line in lines[2:])
    assert len(lines) == 3 + workers


def test_numbers_of_a_run_are_in_one_row() -> None:
    _, row = table_of([RunLine(run(starter_alive=True, rows=None), {"host#1": dt.datetime.now(dt.UTC)})])
    assert row.split() == ["default", "a1", "sending", "-", "-", "64", "3", "33.1/s", "1"]
    assert [*table_of([])] == ["No runs."]


async def test_a_worker_that_is_asked_to_end_while_it_waits_for_redis_ends() -> None:
    shutdown = Shutdown()
    asyncio.get_running_loop().call_soon(shutdown.request)
    assert not await _unless_shut_down(asyncio.sleep(60), shutdown)

    async def refused() -> None:
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError):
        await _unless_shut_down(refused(), Shutdown())
    assert await _unless_shut_down(asyncio.sleep(0), Shutdown())
