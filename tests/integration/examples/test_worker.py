from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest

from publitrac_async.sandbox import Fault, Sandbox

from .conftest import EXAMPLES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and SIGTERM are Unix's")


async def start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "worker.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )


def lines(*emails: str) -> bytes:
    return b"".join(json.dumps({"email": email}).encode() + b"\n" for email in emails)


async def test_every_line_is_synced_or_returned(sandbox: Sandbox) -> None:
    emails = [f"lead{number}@example.com" for number in range(40)]
    worker = await start()
    bad = b'{"email": "no address"}\n', b'{"mail": "x@example.com"}\n', b"no JSON\n"
    out, err = await worker.communicate(lines(*emails) + b"".join(bad))

    assert worker.returncode == 0
    assert sorted(out.splitlines(keepends=True)) == sorted(bad)
    assert b"ValidationError" in err
    assert b"no address" not in err
    sandbox.process_now()
    assert {lead["email"] for lead in sandbox.leads()} == set(emails)
    assert sandbox.journal.count(method="getToken") == 1
    assert sandbox.journal.count(method="delayedSync") == 40


async def test_sigterm_ends_the_reading_and_read_leads_are_synced(sandbox: Sandbox) -> None:
    # Slow responses, so that the queue is full of leads when the signal arrives.
    sandbox.inject(Fault("delay", match="v2.delayedSync", seconds=0.1, times=None))
    emails = [f"lead{number}@example.com" for number in range(40)]
    worker = await start()
    assert worker.stdin is not None
    worker.stdin.write(lines(*emails))
    await worker.stdin.drain()
    while sandbox.journal.count(method="delayedSync") < 8:
        await asyncio.sleep(0.01)
    worker.send_signal(signal.SIGTERM)
    # The pipe is still open on this side: the worker ends because of the signal.
    assert worker.stdout is not None
    assert await worker.stdout.read() == b""
    assert await worker.wait() == 0
    worker.stdin.close()
    sandbox.process_now()
    assert {lead["email"] for lead in sandbox.leads()} == set(emails)
