"""No frame of a run that fails shows a row, whoever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from publitrac_async.bulk import MarketoSink, Sink, VitecSink, sync_leads
from publitrac_async.cli.vendors import VENDORS
from publitrac_async.vitec import LeadSource
from tests.support.canaries import Transcript
from tests.support.four_vendors import CANARIES, OPTIONS, marketo, publitrac, respond, vitec_client
from tests.support.wire import Peer, RawServer, Seen, http

from .test_frames import OTHERS

SINKS: dict[str, Any] = {
    "v1": (publitrac, lambda client: client.v1),
    "v2": (publitrac, lambda client: client.v2),
    "marketo": (marketo, MarketoSink),
    "vitec": (vitec_client, lambda client: VitecSink(client, "M30011", lead_source=LeadSource(name="Web"))),
}


def test_every_sink_is_here() -> None:
    assert SINKS.keys() == VENDORS.keys()


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
