"""What Redis and the logs get to see of a run on many hosts."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from publitrac_async import RetryPolicy
from publitrac_async.bulk import (
    PublitracV2Sink,
)
from publitrac_async.sandbox import Fault
from publitrac_async.shared import SharedRedis
from tests.support.clients import client
from tests.support.executor_setups import Setup, Submission
from tests.support.sinks import RecordingSink, rows


async def everything(hosts: Setup) -> str:
    """Whatever Redis holds, as text."""
    found = []
    for key in await hosts.server.ask("KEYS", "*"):
        kind = (await hosts.server.ask("TYPE", key)).decode()
        read = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "list": ("LRANGE", key, 0, -1),
            "set": ("SMEMBERS", key),
            "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
            "stream": ("XRANGE", key, "-", "+"),
            "none": ("EXISTS", key),  # Gone since.
        }[kind]
        content = [await hosts.server.ask(*read)]
        if kind == "stream":
            content.append(await hosts.server.ask("XINFO", "STREAM", key, "FULL"))
        found.append(f"{key!r}: {content!r}")
    return "\n".join(found)


async def test_redis_and_logs_see_neither_personal_data_nor_credentials(
    hosts: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    leads = [
        {
            "email": f"Berit.Lead{n}@Example.com",
            "firstName": f"Berit{n}",
            "city": "Vadstena",
            "carColor": "Crimson",
        }
        for n in range(40)
    ]
    leads[7]["email"] = "berit at nowhere"
    secrets = ["berit", "vadstena", "crimson", "example.com", hosts.sandbox.api_key]
    hosts.sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.02, times=None))
    # Some are refused, and some stay without a response.
    hosts.sandbox.inject(
        Fault("status", match="v2.delayedSync", status=400, body="Berit is no lead", times=3)
    )
    hosts.sandbox.inject(Fault("drop", match="v2.delayedSync", after=5, times=8))
    dumps = []
    async with contextlib.AsyncExitStack() as stack:

        async def opened() -> PublitracV2Sink:
            shared = await stack.enter_async_context(
                SharedRedis(hosts.server.url, hosts.sandbox.api_key, rate_limit=1000)
            )
            publitrac = client(
                hosts.sandbox.base_url,
                api_key=hosts.sandbox.api_key,
                retry=RetryPolicy(attempts=1),
                shared=shared,
            )
            return PublitracV2Sink((await stack.enter_async_context(publitrac)).v2)

        submission = Submission(hosts, hosts.table(leads), await opened())
        await submission.given(4)
        dumps.append(await everything(hosts))
        for _ in range(2):
            await stack.enter_async_context(hosts.worker(await opened()))
        while not submission.task.done():
            dumps.append(await everything(hosts))
            await asyncio.sleep(0.02)
        report = await submission.report()
        dumps.append(await everything(hosts))
    assert report.accepted
    assert report.rejected == 4
    assert max(dump.count(":stream'") for dump in dumps) > 0
    assert any("leads.csv" in dump for dump in dumps), "no order was seen"
    assert any(":token" in dump for dump in dumps)
    text = "\n".join([*dumps, caplog.text, *(str(record.__dict__) for record in caplog.records)]).lower()
    assert [secret for secret in secrets if secret.lower() in text] == []


async def test_nothing_of_a_finished_run_stays_in_redis(hosts: Setup) -> None:
    await hosts.sync(hosts.table(rows(25)), RecordingSink())
    store = hosts.store()
    ours = store.queue.removesuffix("default:queue")
    names = {key.removeprefix(ours) for key in await hosts.server.keys()}
    # What is known of leads, the counts of the last run, and an empty queue with the time of its last sweep.
    assert names - {"default:queue:leases:redelivery-sweep"} == {
        "state:default:leads",
        "state:default:facts",
        "state:default:progress",
        "state-names",
        "default:queue:stream",
    }
    assert await hosts.server.ask("XLEN", f"{store.queue}:stream") == 0
    waiting = await hosts.server.ask("XPENDING", f"{store.queue}:stream", "docket-workers")
    assert waiting["pending"] == 0
