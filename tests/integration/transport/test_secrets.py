"""Only the service gets credentials; no personal data is in logs and error texts."""

from __future__ import annotations

import asyncio
import base64
import gc
import html
import json
import secrets
import urllib.parse
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from publitrac_async import PublitracError, Timeout
from publitrac_async.transport.events import Event
from tests.support.canaries import Transcript, find, spellings
from tests.support.canary_client import CALLS, CANARIES, CanaryVendor, canary_client, quoting, responding, use
from tests.support.clients import EAGER
from tests.support.proxy import ProxyServer
from tests.support.tls import server_context, trusting
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer, Seen, http


async def closes(seen: Seen, peer: Peer) -> None:
    peer.close()


async def resets(seen: Seen, peer: Peer) -> None:
    peer.reset()


async def stalls(seen: Seen, peer: Peer) -> None:
    await asyncio.sleep(5)


async def cut(seen: Seen, peer: Peer) -> None:
    await peer.write(http(quoting(seen))[:-5])
    peer.close()


async def vendor_error(seen: Seen, peer: Peer) -> bytes:
    if seen.path.startswith("/v2"):
        return http(json.dumps({"status": "error", "code": 422, "message": quoting(seen).decode()}).encode())
    # Text of the vendor is kept for the program, so this service quotes data, but no credentials.
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
    """Refused, not trusted, timed out, cancelled, closed, unwritable."""
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
                lambda: publitrac.v1.call("getLead", {CANARIES.email + "\ud800": "x" * 400}),
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
    password = f"w{secrets.token_hex(16)}"  # Only this test has ever used it.
    async with RawServer(CanaryVendor()) as server:
        async with canary_client(server.url, password=password) as publitrac:
            assert await use(publitrac, Transcript()) == []
        assert server.seen[0].query["password"] == password
        server.seen.clear()
    gc.unfreeze()  # A copy may be in an object older than the tests.
    gc.collect()
    copies = 0
    for container in gc.get_objects():
        if type(container) in (list, tuple, set, dict, frozenset):
            parts = [*container, *container.values()] if isinstance(container, dict) else list(container)
            # By type: asking a lazy object of a library for its class may have side effects.
            copies += sum(
                issubclass(type(part), str) and part is not password and password in part for part in parts
            )
            copies += sum(issubclass(type(part), bytes) and password.encode() in part for part in parts)
    gc.freeze()
    assert copies == 0


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
