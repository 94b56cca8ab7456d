"""No credential reaches what instruments of libraries record: OpenTelemetry, Sentry, trace hooks, logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import aiohttp
import httpx
import pytest
from packaging.version import Version

from publitrac_async import PublitracClient
from tests.support.canaries import Transcript, everything, find
from tests.support.canary_client import CANARIES, CanaryVendor, canary_client, responding, use
from tests.support.wire import RawServer


@asynccontextmanager
async def both_ways(transcript: Transcript, **options: Any) -> AsyncIterator[list[PublitracClient]]:
    """A client of a service that works and one of a service that fails."""
    async with RawServer(CanaryVendor()) as good, RawServer(responding("500 X")) as bad:
        clients = [
            canary_client(server.url, **{k: make() for k, make in options.items()}) for server in (good, bad)
        ]
        async with clients[0], clients[1]:
            yield clients
        for publitrac in clients:
            await publitrac._transport._wire._transport.aclose()
        assert good.seen
        assert bad.seen


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Spans of the instrumented aiohttp and httpx, which are configured to record every header."""
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    for side in ("CLIENT", "SERVER"):
        for kind in ("REQUEST", "RESPONSE"):
            monkeypatch.setenv(f"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{side}_{kind}", ".*")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = AioHttpClientInstrumentor(), HTTPXClientInstrumentor()
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield exporter
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


@pytest.mark.parametrize("carrier", ["aiohttp", "httpx"])
async def test_opentelemetry_sees_no_secret(carrier: str, spans: Any, transcript: Transcript) -> None:
    options = {"transport": httpx.AsyncHTTPTransport} if carrier == "httpx" else {}
    with transcript.recording():
        async with both_ways(transcript, **options) as (good, bad):
            assert await use(good, transcript) == []
            assert len(await use(bad, transcript)) == 4
    finished = [span.to_json() for span in spans.get_finished_spans()]
    assert bool(finished) is (carrier == "httpx")
    # Older instrumentations do not record headers.
    if finished and Version(version("opentelemetry-instrumentation-httpx")) >= Version("0.60b0"):
        assert any("user-agent" in span or "user_agent" in span for span in finished), "headers are recorded"
    find(CANARIES.credentials + CANARIES.personal, finished)
    transcript.check(CANARIES)


@pytest.mark.filterwarnings("ignore:The send_default_pii option:DeprecationWarning")
@pytest.mark.parametrize("carrier", ["aiohttp", "httpx"])
async def test_sentry_sees_no_secret(carrier: str, transcript: Transcript) -> None:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    envelopes: list[str] = []

    class Captures(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            envelopes.append(envelope.serialize().decode())

    sentry_sdk.init(
        dsn="https://x@sentry.invalid/1",
        transport=Captures,
        traces_sample_rate=1.0,
        send_default_pii=True,
        max_request_body_size="always",
    )
    try:
        options = {"transport": httpx.AsyncHTTPTransport} if carrier == "httpx" else {}
        with transcript.recording():
            async with both_ways(transcript, **options) as clients:
                with sentry_sdk.start_transaction(name="sync"):
                    for publitrac in clients:
                        for error in await use(publitrac, transcript):
                            sentry_sdk.capture_exception(error)
        sentry_sdk.flush()
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
    assert sum("ServerError" in envelope for envelope in envelopes) >= 4
    assert any('"type":"transaction"' in envelope for envelope in envelopes)
    find(CANARIES.credentials, envelopes)
    transcript.check(CANARIES)


async def test_trace_hooks_of_aiohttp_see_no_secret(
    monkeypatch: pytest.MonkeyPatch, transcript: Transcript
) -> None:
    """Were there a session below, hooks that a library adds to every session would see its requests."""
    recorded: list[object] = []
    config = aiohttp.TraceConfig()

    async def record(session: object, context: object, parameters: Any) -> None:
        recorded.append({name: getattr(parameters, name) for name in dir(parameters) if name[0] != "_"})

    for name in dir(config):
        if name.startswith("on_"):
            getattr(config, name).append(record)
    original = aiohttp.ClientSession.__init__

    def traced(self: aiohttp.ClientSession, *args: Any, **options: Any) -> None:
        options["trace_configs"] = [*(options.get("trace_configs") or ()), config]
        original(self, *args, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    async with RawServer(CanaryVendor()) as server, aiohttp.ClientSession() as session:
        async with session.get(server.url):
            pass
        assert recorded, "the hooks work"
        recorded.clear()
        async with canary_client(server.url) as publitrac:
            assert await use(publitrac, transcript) == []
    find(CANARIES.credentials + CANARIES.personal, everything(recorded))


async def test_httpx_logs_no_secret_of_an_injected_transport(transcript: Transcript) -> None:
    with transcript.recording():
        async with both_ways(transcript, transport=httpx.AsyncHTTPTransport) as (good, bad):
            assert await use(good, transcript) == []
            assert len(await use(bad, transcript)) == 4
        async with (
            httpx.AsyncHTTPTransport() as transport,
            canary_client("http://127.0.0.1:9", transport=transport) as publitrac,
        ):
            assert len(await use(publitrac, transcript)) == 4
    assert any("httpcore" in text for text in transcript.texts), "httpx speaks at DEBUG"
    transcript.check(CANARIES)
