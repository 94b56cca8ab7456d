"""Parts of `worker` and `status` that need no Redis."""

from __future__ import annotations

import sys

import pytest

from publitrac_async.cli.bar import screen
from publitrac_async.cli.exits import CommandError
from publitrac_async.cli.worker import _load_opentelemetry
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
