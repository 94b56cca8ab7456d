"""Only the service gets credentials; no personal data is in logs and error texts."""

from __future__ import annotations

import asyncio
import base64
import gc
import html
import json
import secrets
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
import trustme
from packaging.version import Version

from publitrac_async import Lead, PublitracClient, PublitracError, RetryPolicy, Timeout
from publitrac_async.transport.events import Event
from tests.integration.transport.test_tls import server_context, trusting
from tests.support.canaries import Canaries, Transcript, everything, find, spellings
from tests.support.clients import EAGER
from tests.support.proxy import ProxyServer
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer, Seen, http

CANARIES = Canaries()


class CanaryVendor(Vendor):
    """Hands out the canary token; after that it quotes the request back in every failure."""

    def new_token(self) -> str:
        super().new_token()
        self.valid = {CANARIES.token}
        return CANARIES.token


def canary_client(url: str, **options: Any) -> PublitracClient:
    settings = {
        "api_key": CANARIES.api_key,
        "username": CANARIES.username,
        "password": CANARIES.password,
        "base_url": url,
        "rate_limit": None,
        "retry": RetryPolicy(attempts=2, base=0, throttle_base=0, cost=0),
        "timeout": Timeout(total=5, connect=1, read=0.2),
    }
    return PublitracClient(**settings | options)


def canary_lead() -> Lead:
    return Lead(email=CANARIES.email, first_name=CANARIES.first_name)


CALLS: dict[str, Callable[[PublitracClient], Any]] = {
    "v1 read": lambda publitrac: publitrac.v1.get_lead(CANARIES.email),
    "v1 write": lambda publitrac: publitrac.v1.sync_lead(canary_lead()),
    "v1 raw": lambda publitrac: publitrac.v1.call("addLead", xml=html.escape(CANARIES.first_name)),
    "v2": lambda publitrac: publitrac.v2.delayed_sync(canary_lead()),
}


async def use(publitrac: PublitracClient, transcript: Transcript) -> list[PublitracError]:
    """Make every call, and tell of all that a program could see of it."""
    errors = []
    for send in CALLS.values():
        try:
            await send(publitrac)
        except PublitracError as error:
            errors.append(error)
            transcript.add_error(error)
    transcript.add(publitrac, publitrac.v1, publitrac.v2, publitrac._transport)
    return errors


# What the service does. Each is a fault of the connection or a response that quotes all it was sent.


def quoting(seen: Seen) -> bytes:
    return json.dumps([seen.target, seen.headers, seen.body.decode("utf-8", "replace")]).encode()


async def closes(seen: Seen, peer: Peer) -> None:
    peer.close()


async def resets(seen: Seen, peer: Peer) -> None:
    peer.reset()


async def stalls(seen: Seen, peer: Peer) -> None:
    await asyncio.sleep(5)


def responding(status: str, *, headers: str = "", content_type: str = "text/html") -> Callable[..., Any]:
    async def respond(seen: Seen, peer: Peer) -> bytes:
        return http(quoting(seen), status, content_type, headers)

    return respond


async def cut(seen: Seen, peer: Peer) -> None:
    await peer.write(http(quoting(seen))[:-5])
    peer.close()


async def vendor_error(seen: Seen, peer: Peer) -> bytes:
    if seen.path.startswith("/v2"):
        return http(json.dumps({"status": "error", "code": 422, "message": quoting(seen).decode()}).encode())
    # What the vendor writes is kept for the program, so this service quotes data, but no credentials.
    text = html.escape(f"{CANARIES.email} {CANARIES.first_name}")
    return http(
        f"<response><status>9018</status><message>{text}</message>"
        f"<errors><error>9002 - Email ({CANARIES.email}) {text}</error></errors></response>".encode(),
        content_type="application/xml",
    )


async def bad_head(seen: Seen, peer: Peer) -> None:
    await peer.write(b"HTTP/1.1 200 OK\r\n" + quoting(seen) + b"\r\n\r\n")
    peer.close()


FAULTS: dict[str, Callable[..., Any]] = {
    "closes": closes,
    "resets": resets,
    "stalls": stalls,
    "cut": cut,
    "vendor error": vendor_error,
    "bad head": bad_head,
    "bad chunk": responding("200 OK", headers="Transfer-Encoding: chunked\r\n"),
    "html": responding("200 OK"),
    "json": responding("200 OK", content_type="application/json"),
    "gzip": responding("200 OK", headers="Content-Encoding: gzip\r\n"),
    "redirect": responding("302 Found", headers="Location: http://127.0.0.1:9/\r\n"),
    **{
        f"HTTP {status}": responding(f"{status} X", headers="Retry-After: 0\r\n")
        for status in (400, 401, 403, 404, 409, 422, 429, 500, 503)
    },
}


@pytest.fixture
def transcript() -> Transcript:
    return Transcript()


def test_the_search_finds_every_spelling() -> None:
    key = CANARIES.api_key
    pair = f"{CANARIES.username}:{key}"
    for text in (
        key,
        urllib.parse.urlencode({"a": key}),
        urllib.parse.quote(key, safe=""),
        base64.b64encode(pair.encode()).decode(),
        base64.b64encode(b"ab" + key.encode() + b"cd").decode(),
        json.dumps({"k": key}),
        html.escape(key),
        key.encode().hex(),
        key[:9] + "...",
    ):
        with pytest.raises(AssertionError):
            find([key], [f"x {text} y"])
    assert all(len(spelling) >= 7 for spelling in spellings(key))


async def test_the_transcript_has_everything_that_a_program_shows() -> None:
    for tell in (
        lambda: __import__("logging").getLogger("x").debug("%s", CANARIES.api_key),
        lambda: print(CANARIES.api_key),  # noqa: T201  (this is what is searched for)
        lambda: __import__("warnings").warn(CANARIES.api_key, stacklevel=1),
    ):
        transcript = Transcript()
        with transcript.recording():
            tell()
        with pytest.raises(AssertionError):
            transcript.check(CANARIES)
    transcript = Transcript()
    try:
        inner(CANARIES.password)
    except ValueError as error:
        transcript.add_error(error)
    with pytest.raises(AssertionError):
        transcript.check(CANARIES)


def inner(local: str) -> None:
    raise ValueError


async def test_success_tells_nothing(transcript: Transcript) -> None:
    vendor = CanaryVendor()
    with transcript.recording():
        async with RawServer(vendor) as server:
            async with canary_client(server.url, hooks=[transcript.add]) as publitrac:
                assert not await use(publitrac, transcript)
                transcript.add(await publitrac.v2.get_token())
            assert server.seen[0].query["password"] == CANARIES.password
            assert server.seen[-1].headers["token"] == CANARIES.token
            assert server.seen[-2].headers["authorization"] == CANARIES.api_key
            assert vendor.applied[-1] == ("delayedSync", CANARIES.email)
    transcript.check(CANARIES)
    assert any("delayedSync: attempt 1 of 2, HTTP 200" in text for text in transcript.texts)
    assert any("Executing <" in text for text in transcript.texts), "asyncio speaks at DEBUG"


@pytest.mark.parametrize("credentials_in", ["query", "body"])
@pytest.mark.parametrize("when", ["always", "after the token request"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.fault("F36")
async def test_no_failure_tells(fault: str, when: str, credentials_in: str, transcript: Transcript) -> None:
    vendor = CanaryVendor()

    async def respond(seen: Seen, peer: Peer) -> bytes | None:
        if when != "always" and "getToken" in seen.target:
            return await vendor(seen, peer)
        return await FAULTS[fault](seen, peer)  # type: ignore[no-any-return]

    with transcript.recording():
        async with RawServer(respond) as server:
            options = {
                "hooks": [transcript.add],
                "credentials_in": credentials_in,
                "timeout": Timeout(total=5, read=0.05),
            }
            async with canary_client(server.url, **options) as publitrac:
                errors = await use(publitrac, transcript)
            assert len(errors) == 4
        gc.collect()
        await asyncio.sleep(0)
    transcript.check(CANARIES)


@pytest.mark.fault("F36")
async def test_other_ends_of_a_call_tell_nothing(transcript: Transcript) -> None:
    """Refused, not trusted, out of time, cancelled, closed, unwritable."""
    authority = trustme.CA()
    context = server_context(trustme.CA().issue_cert("localhost"))
    with transcript.recording():
        async with canary_client("http://127.0.0.1:9", hooks=[transcript.add]) as publitrac:
            assert len(await use(publitrac, transcript)) == 4
        async with RawServer(Vendor(), tls=context) as server:
            url = f"https://localhost:{server.port}"
            async with (
                trusting(authority) as transport,
                canary_client(url, transport=transport) as publitrac,
            ):
                assert len(await use(publitrac, transcript)) == 4
        async with RawServer(stalls) as server:
            async with canary_client(server.url, timeout=Timeout(total=0.05)) as publitrac:
                assert len(await use(publitrac, transcript)) == 4
            publitrac = canary_client(server.url, timeout=Timeout(total=5))
            tasks = [asyncio.create_task(send(publitrac)) for send in CALLS.values()]
            await asyncio.sleep(0.02)
            tasks[0].cancel()
            await publitrac.aclose()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                transcript.add_error(result)
            assert len(await use(publitrac, transcript)) == 4
        async with RawServer(CanaryVendor()) as server, canary_client(server.url) as publitrac:
            for wrong in (
                lambda: publitrac.v1.call("getLead", {"email": CANARIES.email + "\ud800"}),
                lambda: publitrac.v1.call("getLead", {CANARIES.email + "\ud800": "x"}),
            ):
                with pytest.raises(PublitracError) as caught:
                    await wrong()
                transcript.add_error(caught.value)
    transcript.check(CANARIES)


@pytest.mark.parametrize("userinfo", ["", "proxyuser:PRXcnryword@"])
async def test_proxies_in_trouble_tell_nothing(
    userinfo: str, transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = CANARIES.password
    CANARIES.password = "PRXcnryword"
    try:
        for status in ("407 Proxy Authentication Required", "502 Bad Gateway"):
            async with ProxyServer(status=status) as proxy:
                monkeypatch.setenv("https_proxy", proxy.url(userinfo))
                with transcript.recording():
                    async with canary_client("https://service.test", trust_env=True) as publitrac:
                        assert len(await use(publitrac, transcript)) == 4
        transcript.check(CANARIES)
    finally:
        CANARIES.password = password


async def test_after_closing_no_copy_of_a_credential_is_left() -> None:
    password = f"w{secrets.token_hex(16)}"  # Of this test alone: nothing else has ever held it.
    async with RawServer(CanaryVendor()) as server:
        async with canary_client(server.url, password=password) as publitrac:
            assert await use(publitrac, Transcript()) == []
        assert server.seen[0].query["password"] == password
        server.seen.clear()
    gc.unfreeze()  # A copy may be in something older than the tests.
    gc.collect()
    copies = 0
    for container in gc.get_objects():
        if type(container) in (list, tuple, set, dict, frozenset):
            parts = [*container, *container.values()] if isinstance(container, dict) else list(container)
            # By type: asking a lazy object of a library for its class may make it do something.
            copies += sum(
                issubclass(type(part), str) and part is not password and password in part for part in parts
            )
            copies += sum(issubclass(type(part), bytes) and password.encode() in part for part in parts)
    gc.freeze()
    assert copies == 0


# Instruments that libraries attach by themselves.


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
    """Spans of the instrumented aiohttp and httpx, which are told to record every header."""
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


async def test_events_and_values_show_nothing(transcript: Transcript) -> None:
    from publitrac_async.transport.auth import Authorization, Token
    from publitrac_async.transport.operation import Call, ServiceResponse
    from publitrac_async.transport.secret import Secret
    from tests.support.clients import READ, parse

    secret = Secret(CANARIES.api_key)
    token = Token(value=secret, ttl=1, expires_at=2)
    authorization = Authorization(parameters=(("apikey", secret),), headers=(("Token", secret),), token=token)
    call = Call(
        operation=READ,
        parse=parse,
        query=(("email", CANARIES.email),),
        form=(("query", CANARIES.first_name),),
        content=CANARIES.first_name.encode(),
    )
    transcript.add(
        secret,
        token,
        authorization,
        call,
        ServiceResponse(200, CANARIES.email.encode()),
        SimpleNamespace(s=secret),
    )
    events: list[Event] = []
    async with (
        RawServer(CanaryVendor()) as server,
        canary_client(server.url, hooks=[events.append], retry=EAGER) as publitrac,
    ):
        await use(publitrac, transcript)
    assert events
    transcript.add(*events)
    transcript.check(CANARIES)
