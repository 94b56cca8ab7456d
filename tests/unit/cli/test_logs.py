"""Log lines of a worker."""

from __future__ import annotations

import json
import logging
import socket

import pytest
from click.testing import CliRunner

from publitrac_async.cli.commands import commands
from publitrac_async.cli.logs import LogLines, log_lines


def test_trouble_is_one_line_per_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    logger = logging.getLogger("queue")
    monkeypatch.setattr(logger, "handlers", [LogLines(clock=lambda: now[0])])
    try:
        raise OSError("Error 111 connecting to redis.internal")
    except OSError:
        logger.exception("Redis is away, attempt %d", 1)
        now[0] += 1
        logger.exception("Redis is away, attempt %d", 1)
        logger.warning("something else")
        logger.info("nothing to worry about")
        now[0] += 60
        logger.exception("Redis is away, attempt %d", 1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "queue: Redis is away, attempt 1\nqueue: something else\nqueue: Redis is away, attempt 1\n"


def test_json_lines_name_host_run_and_chunk(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("publitrac_async.docket")
    with log_lines(level="info", as_json=True):
        logger.info("chunk %d begins", 3, extra={"job": "a1", "chunk": 3})
        logger.debug("too detailed")
        logging.getLogger("docket.worker").info("with arguments that may be personal data")
        logging.getLogger("docket.worker").warning("Redis\nis away", extra={"labels": object()})
    logger.warning("after the end")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "publitrac_async.docket",
        "message": "chunk 3 begins",
        "host": socket.gethostname(),
        "run": "a1",
        "chunk": 3,
    }
    assert (second["message"], second["level"], "labels" in second) == ("Redis\nis away", "warning", False)


def test_a_call_names_its_server_apart_from_this_host(capsys: pytest.CaptureFixture[str]) -> None:
    with log_lines(level="warning", as_json=True):
        logging.getLogger("publitrac_async").warning("failed", extra={"host": "app.publitrac.com"})
    line = json.loads(capsys.readouterr().err)
    assert (line["server"], line["host"]) == ("app.publitrac.com", socket.gethostname())


def test_the_reason_why_a_worker_does_not_start_is_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKETO_CLIENT_SECRET", raising=False)
    arguments = ("worker", "--log-format", "json", "--redis", "redis://127.0.0.1", "--via", "marketo")
    done = CliRunner().invoke(commands, arguments)
    # In development mode asyncio may first log a message on a slow machine.
    line = json.loads(done.output.splitlines()[-1])
    assert (done.exit_code, line["level"], line["host"]) == (2, "error", socket.gethostname())
    assert "neither MARKETO_CLIENT_SECRET" in line["message"]
