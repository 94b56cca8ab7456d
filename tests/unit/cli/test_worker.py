"""What a worker writes about trouble."""

from __future__ import annotations

import logging

import pytest

from publitrac_async.cli.worker import LogLines


def test_trouble_is_one_line_and_said_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    logger = logging.getLogger("queue")
    monkeypatch.setattr(logger, "handlers", [LogLines(lambda: now[0])])
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
