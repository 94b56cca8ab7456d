"""Log records: fields and levels, without data."""

from __future__ import annotations

import asyncio
import logging

import attrs
import pytest

from publitrac_async import LeadNotFound, Timeout, ValidationError
from tests.support.clients import UPSERT, call, transport
from tests.support.clock import virtual
from tests.support.script import Script, ok, pipeline, raises, status


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "publitrac_async"]


@virtual
async def test_every_record_carries_fields(caplog: pytest.LogCaptureFixture) -> None:
    sender, events = pipeline(status(503), ok(), base_url="https://vendor.test", vendor="publitrac")
    with caplog.at_level(logging.DEBUG):
        await sender.send(call(query=(("email", "ada@example.com"),)))
        with pytest.raises(ValidationError):
            await sender.send(call(parse=raises(ValidationError("no", code=9005))))
    common = {"operation": "upsert", "vendor": "publitrac", "host": "vendor.test", "max_attempts": 4}
    seen = []
    for record in records(caplog):
        assert common.items() <= vars(record).items()
        seen.append((record.levelname, *(vars(record)[n] for n in ("attempt", "status", "error", "code"))))
    assert seen == [
        ("DEBUG", 1, 503, "ServerError", None),
        ("INFO", 1, 503, "ServerError", None),
        ("DEBUG", 2, 200, None, None),
        ("DEBUG", 1, 200, "ValidationError", 9005),
        ("WARNING", 1, 200, "ValidationError", 9005),
    ]
    assert {vars(record)["call_id"] for record in records(caplog)} == {e.call_id for e in events}
    assert "ada" not in caplog.text


@virtual
async def test_a_record_has_the_host_of_its_operation(caplog: pytest.LogCaptureFixture) -> None:
    sender, _ = pipeline(ok(), base_url="https://vendor.test")
    with caplog.at_level(logging.DEBUG):
        await sender.send(call(attrs.evolve(UPSERT, base_url="https://another.test")))
    assert {vars(record)["host"] for record in records(caplog)} == {"another.test"}


@pytest.mark.parametrize(
    ("failure", "log_failures", "levels"),
    [
        (ValidationError("no"), True, ["WARNING"]),
        (ValidationError("no"), False, []),
        (LeadNotFound("none"), True, ["INFO"]),
        (LeadNotFound("none"), False, []),
        (ZeroDivisionError(), True, ["WARNING"]),
    ],
)
@virtual
async def test_a_call_that_finally_fails_is_one_warning(
    caplog: pytest.LogCaptureFixture, failure: Exception, log_failures: bool, levels: list[str]
) -> None:
    sender = transport(Script(ok()), log_failures=log_failures)
    with caplog.at_level(logging.INFO), pytest.raises(type(failure)):
        await sender.send(call(parse=raises(failure)))
    assert [record.levelname for record in records(caplog)] == levels


@virtual
async def test_a_call_that_fails_in_the_queue_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sender = transport(Script([100.0, ok()]), concurrency=1, timeout=Timeout(total=5))
    with caplog.at_level(logging.INFO):
        calls = [asyncio.create_task(sender.send(call(UPSERT))) for _ in range(4)]
        await asyncio.sleep(1)
        calls[-1].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    texts = [(record.levelname, record.getMessage()) for record in records(caplog)]
    assert sum("DeadlineExceeded" in text and level == "WARNING" for level, text in texts) == 3
    assert [level for level, text in texts if "cancelled" in text] == ["INFO"]
