"""Reports of workers: those that cannot open the source, and messages of the service."""

from __future__ import annotations

import logging

import pytest

from tests.support.redis_stores import Stores, job, job_of

MESSAGE = "ada@example.test already has another code"


async def test_messages_of_the_service_reach_the_starter_alone(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    starter, worker = await job(stores), stores()
    name = job_of(starter)
    await worker.reports.add_messages(name, 3, {7: MESSAGE, 9: "ø"})
    # Another worker, after the first one was killed.
    await worker.reports.add_messages(name, 3, {8: MESSAGE})
    assert await starter.reports.messages(name, 3) == {7: MESSAGE, 8: MESSAGE, 9: "ø"}
    assert await starter.reports.messages(name, 4) == {}
    key = stores.key(f"messages:{name}:3")
    sealed = await stores.server.ask("LRANGE", key, 0, -1)
    # A Fernet token begins with its version and a timestamp.
    assert all(each.startswith(b"gAAAAA") and b"@example" not in each for each in sealed)
    assert await stores.server.ask("TTL", key) > 0
    # Those of another chunk, and those of other programs.
    await stores.server.ask("RPUSH", stores.key(f"messages:{name}:4"), sealed[0], b"x")
    with caplog.at_level(logging.WARNING, "publitrac_async.shared"):
        assert await starter.reports.messages(name, 4) == {}
    assert "were not encrypted for this account" in caplog.text


async def test_workers_that_cannot_open_the_source_are_known(stores: Stores) -> None:
    starter, worker = await job(stores), stores()
    await worker.reports.add_source_error(job_of(starter), "host#1", "no such file")
    assert await starter.reports.source_errors(job_of(starter)) == {"host#1": "no such file"}
