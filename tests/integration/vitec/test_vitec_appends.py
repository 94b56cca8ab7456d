"""An append is never sent again once it may have left."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from publitrac_async import (
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    PublitracError,
    ServerError,
    Timeout,
    UnexpectedContent,
)
from publitrac_async.sandbox import Fault, Sandbox
from publitrac_async.vitec import (
    VitecClient,
)
from tests.support.vitec import lead, sample
from tests.support.vitec_clients import CUSTOMER, client
from tests.support.wire import Peer, RawServer, Seen, http

DOUBTFUL = [
    (Fault("drop", times=None), OutcomeUnknown),
    (Fault("drop", apply=True, times=None), OutcomeUnknown),
    (Fault("drop", apply=True, reset=True, times=None), OutcomeUnknown),
    (Fault("cut", times=None), OutcomeUnknown),
    (Fault("cut", cut_after=2, chunked=True, times=None), OutcomeUnknown),
    (Fault("status", status=500, body=sample("error_500.json").decode(), times=None), ServerError),
    (Fault("status", status=502, times=None), ServerError),
    (Fault("status", status=503, retry_after=0, apply=True, times=None), ServerError),
    (Fault("status", status=504, times=None), ServerError),
    (Fault("status", status=408, times=None), ServerError),
    (Fault("html", times=None), UnexpectedContent),
    (Fault("html", status=502, times=None), ServerError),
    (Fault("empty", times=None), UnexpectedContent),
    (Fault("malformed", times=None), UnexpectedContent),
    (Fault("redirect", location="https://elsewhere.example/", times=None), UnexpectedContent),
]


@pytest.mark.parametrize(("fault", "kind"), DOUBTFUL, ids=lambda value: getattr(value, "kind", None))
@pytest.mark.parametrize("spoken", ["json", "xml"])
@pytest.mark.fault("F05")
async def test_nothing_is_sent_twice(
    vitec: VitecClient, sandbox: Sandbox, fault: Fault, kind: type[PublitracError], spoken: Any
) -> None:
    sandbox.inject(fault)
    with pytest.raises(kind) as caught:
        await vitec.create_person_lead(CUSTOMER, lead(), format=spoken)
    assert type(caught.value) is kind
    assert caught.value.maybe_applied
    assert caught.value.attempts == 1
    assert sandbox.journal.count(api="vitec") == 1


async def test_a_response_with_a_broken_coding_is_not_requested_again() -> None:
    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(gzip.compress(b'"42"')[:-4], headers="Content-Encoding: gzip\r\n")

    async with RawServer(respond) as server, client(server.url) as vitec:
        with pytest.raises(UnexpectedContent) as caught:
            await vitec.create_person_lead(CUSTOMER, lead())
    assert caught.value.maybe_applied
    assert len(server.seen) == 1


async def test_the_deadline_after_the_request_left(sandbox: Sandbox) -> None:
    sandbox.inject(Fault("delay", seconds=60))
    async with client(sandbox.base_url, timeout=0.3) as vitec:
        with pytest.raises(DeadlineExceeded) as caught:
            await vitec.create_person_lead(CUSTOMER, lead())
    assert caught.value.maybe_applied
    assert sandbox.journal.count(api="vitec") == 1


async def test_silence_after_the_request_left(sandbox: Sandbox) -> None:
    sandbox.inject(Fault("delay", seconds=60))
    async with client(sandbox.base_url, timeout=Timeout(total=20, read=0.2)) as vitec:
        with pytest.raises(OutcomeUnknown) as caught:
            await vitec.create_person_lead(CUSTOMER, lead())
    assert caught.value.maybe_applied
    assert sandbox.journal.count(api="vitec") == 1


async def test_a_request_that_was_never_sent_is_tried_again(sandbox: Sandbox) -> None:
    refusals = 2

    class Flaky(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise httpx.ConnectError("refused")
            return await super().handle_async_request(request)

    async with Flaky() as transport, client(sandbox.base_url, transport=transport) as vitec:
        assert await vitec.create_person_lead(CUSTOMER, lead()) == "L1"
    assert sandbox.journal.count(api="vitec") == 1


async def test_a_server_that_is_not_there() -> None:
    async with client("http://127.0.0.1:1") as vitec:
        with pytest.raises(NotSent) as caught:
            await vitec.create_person_lead(CUSTOMER, lead())
    assert not caught.value.maybe_applied


async def test_a_call_that_came_too_fast_is_repeated(vitec: VitecClient, sandbox: Sandbox) -> None:
    sandbox.inject(Fault("status", status=429, times=2))
    assert await vitec.create_person_lead(CUSTOMER, lead()) == "L1"
    assert sandbox.journal.count(api="vitec") == 3
