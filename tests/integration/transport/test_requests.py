"""Requests: redirects are not followed, cookies not returned. Over real sockets."""

from __future__ import annotations

import contextlib

import pytest

from publitrac_async import UnexpectedContent
from tests.support.clients import lead, opened
from tests.support.operations import APPENDED
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer, Seen, http


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["other port", "same host", "//host", "userinfo", "loop"])
@pytest.mark.fault("F23")
async def test_redirects_are_never_followed(status: int, to: str) -> None:
    async with RawServer(Vendor()) as other:

        async def redirect(seen: Seen, peer: Peer) -> bytes:
            location = {
                "other port": f"{other.url}{seen.target}",
                "same host": f"/elsewhere{seen.target}",
                "//host": f"//127.0.0.1:{other.port}/x",
                "userinfo": f"http://me:secret@127.0.0.1:{other.port}/x",
                "loop": seen.target,
            }[to]
            return http(status=f"{status} Moved", headers=f"Location: {location}\r\n")

        async with RawServer(redirect) as server, opened(server.url) as publitrac:
            for use in (
                publitrac.v1.get_lead("a@example.com"),
                publitrac.v1.call("addLead", xml=APPENDED),
                publitrac.v2.delayed_sync(lead()),
            ):
                with pytest.raises(UnexpectedContent) as caught:
                    await use
                assert caught.value.status == status
                assert not {"http:", "secret", "the-key", "?"} & set(str(caught.value).split())
                assert str(other.port) not in str(caught.value)
            assert len(server.seen) == 3
        assert other.connections == 0


async def test_cookies_are_never_sent_back() -> None:
    vendor = Vendor()

    async def respond(seen: Seen, peer: Peer) -> bytes:
        return (await vendor(seen, peer)).replace(b"\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n", 1)

    async with RawServer(respond) as server, opened(server.url) as publitrac:
        for _ in range(3):
            await publitrac.v1.get_lead("a@example.com")
            await publitrac.v2.delayed_sync(lead())
        assert len(server.seen) == 7
        assert not any("cookie" in seen.headers for seen in server.seen)


async def test_a_path_in_the_base_url_is_kept() -> None:
    async with RawServer(Vendor()) as server, opened(f"{server.url}/tenant/") as publitrac:
        await publitrac.v1.get_lead("a@example.com")
        await publitrac.v2.delayed_sync(lead())
        assert [seen.path for seen in server.seen] == [
            "/tenant/api",
            "/tenant/v2/auth/getToken",
            "/tenant/v2/lead/delayedSync",
        ]


async def test_requests_are_as_the_documents_require() -> None:
    async with RawServer(Vendor()) as server, opened(server.url) as publitrac:
        await publitrac.v1.get_lead("ada+tag@example.com")
        await publitrac.v1.sync_lead(lead())
        await publitrac.v2.delayed_sync(lead())
        read, write, token_request, queue = server.seen
        assert read.query == {
            "method": "getLead",
            "apikey": "the-key",
            "username": "the-user",
            "password": "the-password",
            "email": "ada+tag@example.com",
        }
        assert "query" in write.form
        assert write.query["apikey"] == "the-key"
        assert token_request.headers["authorization"] == "the-key"
        assert "token" not in token_request.headers
        assert queue.headers["token"] == "token-1"
        assert "authorization" not in queue.headers
        assert queue.headers["content-type"] == "application/json"
        for seen in server.seen:
            assert seen.headers["accept-encoding"] == "gzip"
            assert seen.headers["user-agent"].startswith("publitrac_async/")
            with contextlib.suppress(KeyError):
                assert seen.headers["connection"] == "keep-alive"
        assert server.connections == 1
