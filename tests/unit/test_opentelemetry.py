"""Spans and metrics of calls, as the SDK's in-memory exporters record them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import trace

from publitrac_async import CallEnded, CallEvent, PublitracError, Timeout
from publitrac_async.marketo import MarketoClient
from publitrac_async.transport.auth import SharedToken, Token
from publitrac_async.transport.operation import Call
from publitrac_async.transport.pipeline import Transport
from publitrac_async.transport.secret import Secret
from publitrac_async.vitec import VitecClient
from tests.support.clients import EAGER, READ, call, client, lead, transport
from tests.support.clock import now, virtual
from tests.support.script import Script, ok, status
from tests.support.telemetry import Recorder
from tests.support.vitec import lead as person_lead


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.meter_provider.shutdown()
    recorder.tracer_provider.shutdown()


def pipeline(recorder: Recorder, *steps: Any, **options: Any) -> Transport:
    settings = {"base_url": "https://app.example.com", "vendor": "publitrac"}
    return transport(Script(*steps), hooks=[recorder.hook()], **settings | options)


# Spans


@virtual
async def test_a_call_is_one_span_with_a_child_for_each_attempt() -> None:
    recorder = Recorder()
    sender = pipeline(recorder, status(503), ok())
    with recorder.tracer().start_as_current_span("request"):
        await sender.send(call())
    (span,) = recorder.calls()
    assert span.name == "publitrac upsert"
    assert span.parent is not None
    assert span.status.status_code is trace.StatusCode.UNSET
    expected = {
        "server.address": "app.example.com",
        "server.port": 443,
        "http.request.method": "POST",
        "url.template": "/upsert",
        "http.response.status_code": 200,
        "http.request.resend_count": 1,
        "publitrac.outcome": "success",
        "publitrac.attempts": 2,
    }
    assert expected.items() <= dict(span.attributes or {}).items()
    first, second = recorder.children(span)
    assert {first.name, second.name} == {"POST /upsert"}
    assert first.attributes is not None
    assert second.attributes is not None
    assert (first.attributes["http.response.status_code"], first.attributes["error.type"]) == (
        503,
        "ServerError",
    )
    assert first.status.status_code is trace.StatusCode.ERROR
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert [event.name for event in span.events] == ["queue left", "retry scheduled"]
    assert recorder.spans[-1].name == "request"
    assert recorder.spans[-1].context.span_id == span.parent.span_id


@virtual
async def test_calls_side_by_side_are_children_of_their_own_callers() -> None:
    recorder = Recorder()
    sender = pipeline(recorder, [1.0, ok()], concurrency=2)

    async def request(number: int) -> None:
        with recorder.tracer().start_as_current_span(f"request {number}"):
            await sender.send(call())
            assert trace.get_current_span().name == f"request {number}"  # type: ignore[attr-defined]

    await asyncio.gather(*(request(number) for number in range(5)))
    owners = {span.context.span_id: span.name for span in recorder.spans if span.name.startswith("request")}
    assert len({owners[span.parent.span_id] for span in recorder.calls() if span.parent}) == 5
    assert trace.get_current_span() is trace.INVALID_SPAN


@virtual
async def test_a_shared_token_request_is_below_the_call_that_made_it_and_others_show_their_wait() -> None:
    recorder = Recorder()
    sender = pipeline(recorder, [2.0, status(503)], [2.0, ok()])

    async def fetch() -> Token:
        def read(response: Any) -> tuple[Secret, float]:
            if response.status != 200:
                raise PublitracError("away", retryable=True)
            return Secret("token", "token"), 900.0

        value, ttl = await sender.request_token(Call(operation=READ, parse=read))
        return Token(value=value, ttl=ttl, expires_at=now() + ttl)

    token = SharedToken(fetch, header="Token", clock=now)

    async def request(number: int) -> None:
        with recorder.tracer().start_as_current_span(f"request {number}"):
            await sender.send(call(authenticator=token))

    await asyncio.gather(request(1), request(2))
    first, second = recorder.calls()
    assert [span.name for span in recorder.children(first)] == ["GET /read", "GET /read", "POST /upsert"]
    assert [span.name for span in recorder.children(second)] == ["POST /upsert"]
    for span in (first, second):
        assert span.attributes is not None
        assert span.attributes["publitrac.token_wait"] == pytest.approx(4, abs=0.5)
        assert "credentials ready" in [event.name for event in span.events]
    assert recorder.total("publitrac.token.renewals") == 1


@virtual
async def test_calls_that_end_in_the_queue_have_a_span_and_leave_no_gauge_behind() -> None:
    recorder = Recorder()
    sender = pipeline(recorder, [10.0, ok()], concurrency=2, timeout=Timeout(queue=15))
    tasks = [asyncio.create_task(sender.send(call())) for _ in range(9)]
    await asyncio.sleep(1)
    assert recorder.total("publitrac.call.in_flight") == 2
    assert recorder.total("publitrac.call.queued") == 7
    tasks[-1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    seen = [(span.attributes or {}).get("error.type") for span in recorder.calls()]
    expected = [type(result).__name__ if isinstance(result, BaseException) else None for result in results]
    assert sorted(map(str, seen)) == sorted(map(str, expected))
    assert seen.count("CancelledError") == 1
    assert seen.count("QueueTimeout") >= 1
    by_error = {(span.attributes or {}).get("error.type"): span for span in recorder.calls()}
    assert by_error["CancelledError"].status.status_code is trace.StatusCode.UNSET
    assert by_error["QueueTimeout"].status.status_code is trace.StatusCode.ERROR
    assert recorder.total("publitrac.call.in_flight") == recorder.total("publitrac.call.queued") == 0


@virtual
async def test_the_hook_forgets_calls_that_ended() -> None:
    recorder = Recorder()
    hook = recorder.hook()
    sender = transport(Script([5.0, status(503)], ok()), hooks=[hook])
    tasks = [asyncio.create_task(sender.send(call())) for _ in range(3)]
    await asyncio.sleep(1)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert (hook._calls, hook._attempts) == ({}, {})


# Metrics


@virtual
async def test_metrics_of_calls(recorder: Recorder) -> None:
    events: list[CallEvent] = []
    hooks = [recorder.hook(), events.append]
    script = Script(status(503), [0.2, ok()])
    settings: dict[str, Any] = {"base_url": "https://app.example.com", "vendor": "publitrac"}
    sender = transport(script, hooks=hooks, concurrency=1, **settings)
    await asyncio.gather(*(sender.send(call()) for _ in range(3)))
    told = [event for event in events if isinstance(event, CallEnded)]
    points = recorder.points()
    (duration,) = points["publitrac.call.duration"]
    assert (duration.count, duration.attributes) == (
        3,
        {
            "publitrac.vendor": "publitrac",
            "publitrac.operation": "upsert",
            "publitrac.outcome": "success",
            "server.address": "app.example.com",
        },
    )
    assert duration.sum == pytest.approx(sum(end.elapsed for end in told)) != 0
    (queued,) = points["publitrac.call.queue_wait"]
    assert (queued.count, queued.sum) == (3, pytest.approx(sum(end.queue_wait for end in told)))
    assert queued.sum > 0.1
    assert points["publitrac.call.limiter_wait"][0].count == 3
    assert 0.25 in duration.explicit_bounds  # Seconds, not milliseconds.
    requests = points["http.client.request.duration"]
    assert {
        (p.attributes["http.response.status_code"], p.attributes.get("error.type"), p.count) for p in requests
    } == {(200, None, 3), (503, "ServerError", 1)}
    assert recorder.total("publitrac.call.retries") == 1


# Queries that are sent and those that are not


@virtual
async def test_traceparent_is_sent_on_request(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    for inject in (False, True):
        script = Script(status(503), ok())
        sender = transport(script, hooks=[recorder.hook(inject=inject)])
        await sender.send(call())
        sent = [request.headers.get("traceparent") for request in script.seen]
        if not inject:
            assert sent == [None, None]
            continue
        spans = recorder.children(recorder.calls()[-1])
        assert [header.split("-")[2] for header in sent if header] == [
            f"{span.context.span_id:016x}" for span in spans
        ]
    assert "traceparent" not in caplog.text


@virtual
async def test_headers_of_a_hook_that_raises_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __call__(self, event: object) -> None: ...

        def request_headers(self, event: object) -> list[tuple[str, str]]:
            raise RuntimeError("no header")

    script = Script(ok())
    with caplog.at_level(logging.WARNING):
        assert await transport(script, hooks=[Broken()]).send(call()) == b"fine"
    assert "a hook raised RuntimeError at AttemptStarted" in caplog.text


def responding(request: httpx.Request) -> httpx.Response:
    path = request.url.path
    if "oauth" in path:
        return httpx.Response(200, json={"access_token": "canary-token", "expires_in": 3600})
    if "getToken" in path:
        return httpx.Response(200, json={"token": "canary-token", "ttl": "900"})
    return httpx.Response(503, content=b"canary-body")


async def test_no_span_and_no_metric_holds_a_credential_a_person_or_a_query(recorder: Recorder) -> None:
    hooks = [recorder.hook(inject=True)]
    carrier = httpx.MockTransport(responding)
    options: dict[str, Any] = {"transport": carrier, "hooks": hooks, "retry": EAGER}
    async with (
        client("https://app.example.com", **options) as publitrac,
        MarketoClient(
            base_url="https://123-abc-456.mktorest.com",
            client_id="canary-id",
            client_secret="canary-secret",
            **options,
        ) as marketo,
        VitecClient(username="canary-user", password="canary-word", **options) as vitec,
    ):
        for made in (
            publitrac.v1.get_lead("canary@example.com"),
            publitrac.v2.delayed_sync(lead()),
            marketo.get_lead_by_id(4711),
            vitec.create_person_lead("M30011", person_lead()),
        ):
            with pytest.raises(PublitracError):
                await made
    text = " ".join(span.to_json() for span in recorder.spans) + str(recorder.points())
    assert len(recorder.calls()) == 4
    for canary in (
        "canary",
        "the-key",
        "the-user",
        "the-password",
        "example.com?",
        "lead0@",
        "/4711",
        "Ada",
        "M30011",
    ):
        assert canary not in text
