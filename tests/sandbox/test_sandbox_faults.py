"""Every kind of fault, over a socket if it needs one."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from xml.etree import ElementTree as ET

import httpx
import pytest

from publitrac_async.sandbox import Fault, Sandbox

LEAD = "<request><lead><email>a@example.com</email></lead></request>"
BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture
def zoe(sandbox):
    sandbox.seed(leads=[{"email": "zoe@example.com", "firstName": "Zoé €"}])


async def raw(sandbox: Sandbox, method: str, xml: str | None = None) -> bytes:
    """Send one call without the client and return everything up to the end of the connection."""
    host, port = sandbox.base_url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    # A bare socket: a stream drops the bytes that it has read when the reset arrives.
    connection = socket.create_connection((host, int(port)))
    connection.setblocking(False)
    url = httpx.URL(
        "/api",
        params={
            "method": method,
            "email": "zoe@example.com",
            "apikey": sandbox.api_key,
            "username": sandbox.username,
            "password": sandbox.password,
            **({"query": xml} if xml else {}),
        },
    )
    received = b""
    try:
        await loop.sock_sendall(connection, f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while chunk := await asyncio.wait_for(loop.sock_recv(connection, 65_536), 5):
            received += chunk
    except ConnectionResetError:
        received += b"<RST>"
    finally:
        connection.close()
    return received


class TestStatus:
    async def test_the_default_status_is_503_and_nothing_is_applied(self, sandbox, v1):
        sandbox.inject(Fault("status"))

        response = await v1.send("syncLead", LEAD)

        assert response.status_code == 503
        assert sandbox.leads() == []
        assert sandbox.journal.arrivals[-1].applied is False
        assert sandbox.journal.arrivals[-1].fault == "status"
        assert (await v1.send("syncLead", LEAD)).status_code == 200

    @pytest.mark.parametrize("value", [0, 1.5, -1, 86_400, "abc", "Wed, 21 Oct 2015 07:28:00 GMT"])
    async def test_any_retry_after_is_sent_unchanged(self, sandbox, v1, value):
        sandbox.inject(
            Fault("status", status=429, retry_after=value, body="{}", content_type="application/json")
        )

        response = await v1.send("getLead")

        assert (response.status_code, response.text) == (429, "{}")
        assert response.headers["retry-after"] == str(value)
        assert response.headers["content-type"] == "application/json"

    async def test_applied_although_it_fails(self, sandbox, v1):
        sandbox.inject(Fault("status", status=502, apply=True))

        assert (await v1.send("syncLead", LEAD)).status_code == 502
        assert sandbox.lead("a@example.com") is not None
        assert sandbox.journal.arrivals[-1].applied is True

    async def test_two_headers_of_one_name(self, sandbox, v1):
        sandbox.inject(Fault("status", retry_after=1, headers=[("Retry-After", "9")]))

        response = await v1.send("getLead")

        assert response.headers.get_list("retry-after") == ["1", "9"]

    async def test_a_status_without_content_has_no_body(self, sandbox, v1):
        sandbox.inject(Fault("status", status=204))

        response = await v1.send("getLead")

        assert (response.status_code, response.content) == (204, b"")


async def test_a_delayed_call_is_handled_after_it_arrived(sandbox, v1):
    sandbox.inject(Fault("delay", seconds=0.05))

    before = time.monotonic_ns()
    response = await v1("syncLead", LEAD)

    assert time.monotonic_ns() - before >= 50_000_000
    assert response.findtext("status") == "2006"
    assert sandbox.journal.arrivals[-1].monotonic_ns - before < 50_000_000


async def test_delay_and_another_fault_strike_together(sandbox, v1):
    sandbox.inject(Fault("delay", seconds=0.02))
    sandbox.inject(Fault("status", status=500))
    sandbox.inject(Fault("status", status=502))

    assert (await v1.send("getLead")).status_code == 500
    assert (await v1.send("getLead")).status_code == 502
    assert (await v1.send("getLead")).status_code == 200


class TestDrop:
    @pytest.mark.parametrize("apply", [True, False])
    @pytest.mark.parametrize("reset", [True, False])
    async def test_a_dropped_connection_sends_no_response(self, sandbox, v1, apply, reset):
        sandbox.inject(Fault("drop", apply=apply, reset=reset))

        with pytest.raises(BROKEN):
            await v1.send("syncLead", LEAD)

        assert (sandbox.lead("a@example.com") is not None) is apply
        arrival = sandbox.journal.arrivals[-1]
        assert (arrival.status, arrival.applied, arrival.fault) == (None, apply, "drop")
        assert (await v1.send("syncLead", LEAD)).status_code == 200

    async def test_closed_or_reset(self, sandbox):
        sandbox.inject(Fault("drop"))
        sandbox.inject(Fault("drop", reset=True))

        assert await raw(sandbox, "getLead") == b""
        assert await raw(sandbox, "getLead") == b"<RST>"

    async def test_an_in_process_call_raises_a_connection_error(self, in_process):
        with Sandbox() as sandbox:
            sandbox.inject(Fault("drop", apply=True))
            with pytest.raises(ConnectionResetError):
                await in_process(sandbox).send("syncLead", LEAD)
            assert sandbox.lead("a@example.com") is not None


class TestCut:
    @pytest.mark.parametrize("cut_after", [0, 1, 100, 1000])
    @pytest.mark.parametrize("chunked", [True, False])
    @pytest.mark.parametrize("reset", [True, False])
    async def test_head_and_some_bytes(self, sandbox, zoe, cut_after, chunked, reset):
        sandbox.inject(Fault("cut", cut_after=cut_after, chunked=chunked, reset=reset))

        received = await raw(sandbox, "getLead")

        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert (b"transfer-encoding: chunked" in head.lower()) is chunked
        assert (b"content-length: " in head.lower()) is not chunked
        assert body.endswith(b"<RST>") is reset
        body = body.removesuffix(b"<RST>")
        if chunked:
            size, _, body = body.partition(b"\r\n") if cut_after else (b"0", b"", b"")
            assert int(size, 16) == cut_after
            body = body.removesuffix(b"\r\n")
        assert len(body) == cut_after
        assert sandbox.journal.arrivals[-1].status == 200

    async def test_large_responses_arrive_up_to_the_cut(self, sandbox):
        sandbox.seed(leads=[{"email": "zoe@example.com", "notes": "x" * 3_000_000}])
        sandbox.inject(Fault("cut", cut_after=2_500_000))

        received = await raw(sandbox, "getLead")

        _, _, body = received.partition(b"\r\n\r\n")
        assert len(body.removesuffix(b"<RST>")) == 2_500_000

    async def test_the_client_sees_an_error(self, sandbox, zoe, v1):
        for chunked in (True, False):
            sandbox.inject(Fault("cut", cut_after=500, chunked=chunked))
            with pytest.raises(BROKEN):
                await v1.send("getLead", email="zoe@example.com")

    async def test_the_call_was_executed(self, sandbox, v1):
        sandbox.inject(Fault("cut"))
        with pytest.raises(BROKEN):
            await v1.send("syncLead", LEAD)

        assert sandbox.lead("a@example.com") is not None


class TestMalformed:
    @pytest.mark.parametrize("variant", [None, "truncated", "misnested"])
    async def test_malformed_xml_does_not_parse_and_the_call_is_applied(self, sandbox, v1, variant):
        sandbox.inject(Fault("malformed", variant=variant))

        response = await v1.send("syncLead", LEAD)

        assert response.status_code == 200
        assert b"<response>" in response.content
        with pytest.raises(ET.ParseError):
            ET.fromstring(response.content)
        assert sandbox.lead("a@example.com") is not None

    @pytest.mark.parametrize("variant", ["truncated", "misnested"])
    async def test_malformed_json_does_not_parse(self, sandbox, v2, http, variant):
        sandbox.inject(Fault("malformed", variant=variant))

        response = await http.get("/v2/auth/getToken", headers={"Authorization": sandbox.api_key})

        assert response.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            response.json()


async def test_a_web_page_replaces_the_response(sandbox, v1):
    sandbox.inject(Fault("html"))
    sandbox.inject(Fault("html", status=503, body="<html>down</html>"))

    first, second = await v1.send("syncLead", LEAD), await v1.send("syncLead", LEAD)

    assert (first.status_code, second.status_code) == (200, 503)
    assert first.headers["content-type"].startswith("text/html")
    assert second.text == "<html>down</html>"
    assert sandbox.leads() == []


async def test_an_empty_response_follows_an_applied_call(sandbox, v1):
    sandbox.inject(Fault("empty"))

    response = await v1.send("syncLead", LEAD)

    assert (response.status_code, response.content) == (200, b"")
    assert sandbox.lead("a@example.com") is not None


async def test_a_redirect_names_its_location(sandbox, v1):
    sandbox.inject(Fault("redirect", location="http://127.0.0.1:1/elsewhere"))
    sandbox.inject(Fault("redirect", location="//other.example", status=307))

    first, second = await v1.send("syncLead", LEAD), await v1.send("syncLead", LEAD)

    assert (first.status_code, first.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")
    assert (second.status_code, second.headers["location"]) == (307, "//other.example")
    assert sandbox.leads() == []


class TestEncoding:
    @pytest.mark.parametrize(
        ("variant", "content_type", "declared"),
        [
            ("latin-1", "text/xml; charset=ISO-8859-1", "ISO-8859-1"),
            ("utf-16", "text/xml; charset=UTF-16", "UTF-16"),
            ("utf-8-bom", "text/xml; charset=UTF-8", "UTF-8"),
        ],
    )
    async def test_a_declared_encoding_can_be_decoded(
        self, sandbox, zoe, v1, variant, content_type, declared
    ):
        sandbox.inject(Fault("encoding", variant=variant))

        response = await v1.send("getLead", email="zoe@example.com")

        assert response.headers["content-type"] == content_type
        codec = {"utf-8-bom": "utf-8-sig"}.get(variant, variant)
        assert f'encoding="{declared}"' in response.content.decode(codec)
        # expat takes the encoding from the byte order mark and the declaration.
        assert ET.fromstring(response.content).findtext("leads/lead/firstName") == "Zoé €"

    async def test_an_undeclared_encoding_is_not_utf_8(self, sandbox, zoe, v1):
        sandbox.inject(Fault("encoding", variant="latin-1-undeclared"))

        response = await v1.send("getLead", email="zoe@example.com")

        assert response.headers["content-type"] == "text/xml; charset=UTF-8"
        assert "Zoé".encode("latin-1") in response.content
        with pytest.raises(UnicodeDecodeError):
            response.content.decode()

    async def test_json_can_be_in_another_encoding(self, sandbox, http):
        sandbox.inject(Fault("encoding", variant="utf-16"))

        response = await http.get("/v2/auth/getToken", headers={"Authorization": sandbox.api_key})

        assert "token" in json.loads(response.content.decode("utf-16"))


async def test_a_response_can_be_compressed(sandbox, zoe):
    sandbox.inject(Fault("gzip"))
    sandbox.inject(Fault("cut", cut_after=10**6))

    received = await raw_until_length(sandbox)

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    assert ET.fromstring(gzip.decompress(body)).findtext("leads/lead/firstName") == "Zoé €"


async def raw_until_length(sandbox: Sandbox) -> bytes:
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False, verify=False) as http:
        parameters = {
            "method": "getLead",
            "email": "zoe@example.com",
            "apikey": sandbox.api_key,
            "username": sandbox.username,
            "password": sandbox.password,
        }
        async with http.stream("GET", "/api", params=parameters) as response:
            body = b"".join([chunk async for chunk in response.aiter_raw()])
        head = "\r\n".join(f"{name}: {value}" for name, value in response.headers.items())
        return f"{head}\r\n\r\n".encode() + body


async def test_tokens_are_revoked_before_a_chosen_call(sandbox, v2):
    token = await v2.token()
    sandbox.inject(Fault("revoke_tokens", match="delayedSync", after=1))
    document = {"leadInfo": {"email": "a@example.com"}}

    assert (await v2.sync(token, document)).status_code == 200
    assert (await v2.sync(token, document)).status_code == 401
    assert (await v2.sync(await v2.token(), document)).status_code == 200
