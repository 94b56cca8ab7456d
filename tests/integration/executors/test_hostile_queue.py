"""A Redis that others can write to: workers unpickle nothing from it, and execute signed tasks only."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from publitrac_async.bulk.distributed.messages import checked, text_of
from tests.support.executor_setups import Setup, Submission
from tests.support.redis_state import OwnRedisState
from tests.support.sinks import RecordingSink, rows

DISCARDED = "discarded a task without a valid signature of this account: check who can write to Redis"


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "boom")


def message(args: bytes, kwargs: bytes = pickle.dumps({}), function: str = "send_chunk") -> list[Any]:
    fields = {
        "key": "evil",
        "when": dt.datetime.now(dt.UTC).isoformat(),
        "function": function,
        "args": args,
        "kwargs": kwargs,
        "attempt": "1",
        "generation": "0",
    }
    return [part for pair in fields.items() for part in pair]


async def test_foreign_messages_are_discarded_and_the_run_continues(
    hosts: Setup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "publitrac_async")
    bomb = pickle.dumps((Bomb(tmp_path / "boom"),))
    other = OwnRedisState(hosts.server.url, account="another")
    signed = cloudpickle.dumps((other.sign("{}"),))
    await other.aclose()
    stream = f"{hosts.store().queue}:stream"
    evil = [
        message(bomb),
        message(cloudpickle.dumps(("unsigned",)), bomb),
        message(signed),
        message(bomb, function="trace"),
        message(bomb, function="nothing of that name"),
        ["garbage", "\xff"],
    ]
    strike = ["direction", "strike", "operator", "==", "value", bomb, "parameter", "task"]
    await hosts.server.ask("XADD", f"{hosts.store().queue}:strikes", "*", *strike)
    for fields in evil:
        await hosts.server.ask("XADD", stream, "*", *fields)
    submission = Submission(hosts, hosts.table(rows(30)), sink := RecordingSink())
    async with hosts.worker(sink):
        report = await submission.report()
        async with asyncio.timeout(20):
            while await hosts.server.ask("XLEN", stream):
                await asyncio.sleep(0.02)
    assert report.ok == 30
    assert not (tmp_path / "boom").exists()
    assert [record.message for record in caplog.records] == [DISCARDED] * len(evil)


async def test_messages_of_a_killed_worker_are_checked_too(hosts: Setup, tmp_path: Path) -> None:
    stream = f"{hosts.store().queue}:stream"
    await hosts.server.ask("XGROUP", "CREATE", stream, "docket-workers", "0", "MKSTREAM")
    await hosts.server.ask("XADD", stream, "*", *message(pickle.dumps((Bomb(tmp_path / "boom"),))))
    await hosts.server.ask("XREADGROUP", "GROUP", "docket-workers", "gone", "STREAMS", stream, ">")
    async with hosts.worker(RecordingSink(), redelivery=0.1), asyncio.timeout(20):
        while await hosts.server.ask("XLEN", stream):
            await asyncio.sleep(0.02)
    assert not (tmp_path / "boom").exists()


async def test_signatures_are_for_one_account_and_one_queue(hosts: Setup) -> None:
    store = hosts.store()
    signed = store.sign("a task")
    assert store.verified(signed) == "a task"
    for account, name in (("another", "default"), ("the-key", "another")):
        other = OwnRedisState(hosts.server.url, account=account, name=name)
        assert other.verified(signed) is None
        await other.aclose()
    for forged in (
        "",
        "a task",
        f"{signed}.",
        f" {signed}",
        "é" + signed[1:],
        "\ud800",
        "x" * 64 + " a task",
    ):
        assert store.verified(forged) is None
    # Not the hash of a lead, which Redis holds.
    assert store._connection.hashed(f"{store.queue} a task").hex() not in signed


@pytest.mark.parametrize("text", ["", "a", "x" * 300, "å" * 70_000])
def test_text_is_read_without_unpickling(text: str) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert text_of(pickle.dumps((text,), protocol)) == text
    assert text_of(cloudpickle.dumps((text,))) == text
    for other in ((text, text), ([text],), {text: text}, len, (b"",)):
        assert text_of(pickle.dumps(other)) is None
    for garbage in (b"", b"\x80", pickle.dumps((text,))[:-1], None):
        assert text_of(garbage) is None


def test_responses_of_any_shape_are_checked() -> None:
    bad, good = {b"args": b"cos\nsystem\n(S'x'\ntR."}, {b"args": pickle.dumps(("good",))}
    callback = checked(None, "send_chunk", "good".__eq__)
    for response in ([[b"s", [(b"1-1", bad), (b"2-2", good)]]], {b"s": [[(b"1-1", bad), (b"2-2", good)]]}):
        callback(response)
        assert pickle.loads(bad[b"args"]) == ("",)
        assert pickle.loads(good[b"args"]) == ("good",)
        assert bad[b"function"] == good[b"function"] == b"send_chunk"
    assert callback([b"0-0", [], []]) == [b"0-0", [], []]
    assert callback(None) is None
