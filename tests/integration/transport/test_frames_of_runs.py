"""No frame of a run that fails shows a row, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from publitrac_async.bulk import Sink, sync_leads
from tests.support.canaries import Transcript
from tests.support.four_vendors import CANARIES, OPTIONS, SINKS, respond
from tests.support.wire import Peer, RawServer, Seen, http

from .test_frames import OTHERS


class Rows:
    """Rows of the program."""

    def __init__(self, *, broken: bool) -> None:
        self.broken = broken

    def __iter__(self) -> Iterator[dict[str, str]]:
        for number in range(5):
            yield {
                "email": f"{number}{CANARIES.email}",
                "firstName": CANARIES.first_name,
                "lastName": CANARIES.first_name,
            }
        if self.broken:
            raise RuntimeError("of the program")


@pytest.mark.parametrize("end", ["cancelled", "source", "a limiter that fails", "a hook that stops the task"])
@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.fault("F36")
async def test_a_run_that_fails(kind: str, end: str) -> None:
    transcript, called = Transcript(), asyncio.Event()

    async def serve(seen: Seen, peer: Peer) -> bytes:
        if seen.path.endswith(("/getToken", "/oauth/token")):
            return http(respond(seen.method, seen.path), content_type="application/json")
        called.set()
        await asyncio.Event().wait()
        return b""

    build, sink_of = SINKS[kind]
    options = OPTIONS | (OTHERS[end]() if end in OTHERS else {})
    async with RawServer(serve) as server, build(server.url, **options) as client:
        sink: Sink[Any] = sink_of(client)
        rows = Rows(broken=end == "source")
        task = asyncio.create_task(sync_leads(rows if rows.broken else list(rows), sink, concurrency=2))
        if end == "cancelled":
            waiting = asyncio.create_task(called.wait())
            await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            task.cancel()
        await asyncio.wait([task])
    error: BaseException | None = asyncio.CancelledError()
    try:
        await task
    except BaseException as raised:  # noqa: BLE001  (all of them are recorded)
        error = raised
    assert error is not None
    assert error.__traceback__ is not None
    transcript.add_error(error)
    transcript.check(CANARIES)
