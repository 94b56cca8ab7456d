"""Processes of their own for tests: a service, and workers that may be killed.

Run as ``service``, it is a sandbox, and prints where. Run as ``workers``, it takes one JSON object a line,
each of which describes a worker, and forks it: a process that has everything loaded begins within
milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from publitrac_async import Lead, PublitracError
from publitrac_async.bulk import (
    PublitracV2Sink,
    Record,
    State,
    StateStoreError,
    publitrac_record,
    read_leads,
    sync_leads,
)
from publitrac_async.bulk.distributed.docket import DocketExecutor, serve
from publitrac_async.sandbox import Sandbox, serve_forever
from tests.support.clients import client
from tests.support.commands import TRANSPORT
from tests.support.redis_state import OwnRedisState

ROOT = Path(__file__).parents[2]
ACCOUNT = "the-key"


class JournalSink:
    """A service that keeps whatever it gets, as often as it gets it, and responds a while later."""

    name = destination = "journal"
    success_state = State.OK
    batch_size = 1

    def __init__(self, journal: str, pause: float, *, idempotent: bool = False) -> None:
        self.idempotent = idempotent
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._pause = pause

    def to_record(self, fields: Mapping[str, Any] | Lead) -> Record[Lead]:
        return publitrac_record(fields)

    async def send(self, records: Sequence[Lead]) -> Sequence[PublitracError | None]:
        await asyncio.sleep(self._pause)
        for lead in records:
            os.write(self._journal, f"{lead.email} {lead.city}\n".encode())
        await asyncio.sleep(self._pause)
        return [None] * len(records)


def store(settings: Mapping[str, Any]) -> OwnRedisState:
    return OwnRedisState(settings["url"], account=ACCOUNT, lease=settings["lease"])


async def work(settings: Mapping[str, Any]) -> None:
    """Be a worker until killed."""
    options = {
        "concurrency": settings["calls"],
        "chunks": settings["chunks"],
        "redelivery": settings["lease"],
    }
    if settings.get("journal"):
        sink = JournalSink(settings["journal"], settings["pause"])
        await serve(sink, store(settings), **options)
    else:
        async with client(settings["base_url"], api_key=settings["api_key"]) as publitrac:
            await serve(PublitracV2Sink(publitrac.v2), store(settings), **options)


async def submit(settings: Mapping[str, Any]) -> dict[str, int]:
    """Begin a run, and wait for its end."""
    async with client(settings["base_url"], api_key=settings["api_key"]) as publitrac:
        report = await sync_leads(
            read_leads(settings["source"]),
            publitrac.v2,
            state=store(settings),
            executor=DocketExecutor(chunk_rows=settings["chunk_rows"]),
        )
    return {str(state): count for state, count in report.counts.items()}


async def take_turns(settings: Mapping[str, Any]) -> None:
    """Carry out a run alone, as soon as nobody else does."""
    sink = JournalSink(settings["journal"], settings["pause"], idempotent=settings["idempotent"])
    while True:
        with contextlib.suppress(StateStoreError):
            await sync_leads(
                read_leads(settings["source"]), sink, state=store(settings), concurrency=settings["calls"]
            )
        await asyncio.sleep(0.05)


def program(settings: Mapping[str, Any]) -> Coroutine[Any, Any, Any]:
    if not settings.get("source"):
        return work(settings)
    return take_turns(settings) if settings.get("journal") else submit(settings)


def fork(settings: Mapping[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.dup2(os.open(settings["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        logging.basicConfig(level=logging.INFO)
        asyncio.run(program(settings))
    except BaseException:  # noqa: BLE001  (whatever it is, the log is the only place to say so)
        traceback.print_exc()
    finally:
        os._exit(1)


def _announce(sandbox: Sandbox) -> None:
    print(json.dumps({"base_url": sandbox.base_url, "api_key": sandbox.api_key}), flush=True)  # noqa: T201  (the test reads it)


class Process:
    """One of the two programs of this module, as a test sees it."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.executor_processes", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, settings: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        return self.read()


class Service(Process):
    """A sandbox in a process of its own."""

    def __init__(self) -> None:
        super().__init__("service")
        self.place: dict[str, str] = self.read()

    def arrivals(self) -> list[dict[str, Any]]:
        """The leads that arrived."""
        found = httpx.get(f"{self.place['base_url']}/_sandbox/journal", timeout=60, trust_env=False).json()
        return [each for each in found["arrivals"] if each["method"] == "delayedSync" and each["applied"]]


class Workers(Process):
    """Processes that serve, and can be killed.

    Args:
        settings: of each.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__("workers")
        self._settings = settings
        self.running: list[int] = []
        self.kills = 0

    def start(self, **more: Any) -> int:
        number: int = self.ask({**self._settings, **more})
        self.running.append(number)
        return number

    def kill(self, number: int) -> None:
        """Kill one.

        Raises:
            ProcessLookupError: it has ended by itself; its log says why.
        """
        os.kill(number, signal.SIGKILL)
        self.running.remove(number)
        self.kills += 1

    def __exit__(self, *error: object) -> None:
        for number in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        super().__exit__(*error)


if __name__ == "__main__":
    if sys.argv[1] == "service":
        asyncio.run(serve_forever(started=_announce, rate_limit=None))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for module in TRANSPORT:
        importlib.import_module(module)
    gc.freeze()
    for line in sys.stdin:
        print(fork(json.loads(line)), flush=True)  # noqa: T201  (the test reads it)
