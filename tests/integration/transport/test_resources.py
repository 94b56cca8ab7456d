"""Sockets that a failure leaves behind, names that do not resolve."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import trustme

from publitrac_async import ClientStateError, DeadlineExceeded, NotSent, RetryPolicy, Timeout
from tests.support.clients import client, connector, lead, opened
from tests.support.tls import server_context, trusting
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer


def open_sockets() -> int:
    def is_socket(link: Path) -> bool:
        try:
            return str(link.readlink()).startswith("socket:")
        except OSError:
            return False

    return sum(map(is_socket, Path("/proc/self/fd").iterdir()))


async def falls_to(measure: Callable[[], int], value: int) -> bool:
    for _ in range(100):
        if measure() <= value:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_large_unread_request_leaves_no_socket(tls: bool) -> None:
    async def never_reads(peer: Peer) -> bool:
        peer.writer.transport.pause_reading()
        return False

    authority = trustme.CA()
    context = server_context(authority.issue_cert("localhost")) if tls else None
    async with RawServer(Vendor(), greet=never_reads, tls=context) as server:
        options = {"transport": trusting(authority)} if tls else {}
        url = f"https://localhost:{server.port}" if tls else server.url
        gc.collect()
        before = open_sockets()
        async with opened(url, timeout=Timeout(total=1.5), **options) as publitrac:
            with pytest.raises(DeadlineExceeded) as caught:
                await publitrac.v1.call("addLead", xml="x" * 20_000_000)
            assert caught.value.maybe_applied
            assert not connector(publitrac)._acquired
            # One end is the server's, which does not notice.
            assert await falls_to(open_sockets, before + 1), "the connection waits to be written to its end"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_closing_leaves_no_socket(tls: bool) -> None:
    authority = trustme.CA()
    context = server_context(authority.issue_cert("localhost")) if tls else None
    async with RawServer(Vendor(), tls=context) as server:
        url = f"https://localhost:{server.port}" if tls else server.url
        gc.collect()
        before = open_sockets()
        for _ in range(5):
            options = {"transport": trusting(authority)} if tls else {}
            async with opened(url, **options) as publitrac:
                await asyncio.gather(*(publitrac.v2.delayed_sync(lead(number)) for number in range(20)))
        assert await falls_to(open_sockets, before)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(socket.gaierror(socket.EAI_NONAME, "x"), 2), (socket.gaierror(socket.EAI_AGAIN, "x"), 2)],
)
@pytest.mark.fault("F21")
async def test_a_name_that_does_not_resolve(
    error: OSError, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> list[object]:
        raise error

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", fails)
    async with opened("https://host.example", retry=RetryPolicy(attempts=attempts, base=0)) as publitrac:
        with pytest.raises(NotSent) as caught:
            await publitrac.v1.call("addLead", xml="<request/>")
    assert caught.value.attempts == attempts
    assert not caught.value.maybe_applied
    assert "host.example" not in str(caught.value)


@pytest.mark.fault("F21")
async def test_closing_while_a_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object, **__: object) -> list[object]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", hangs)
    publitrac = client("https://host.example")
    task = asyncio.create_task(publitrac.v1.call("addLead", xml="<request/>"))
    await asyncio.sleep(0.02)
    await asyncio.wait_for(publitrac.aclose(), 2)
    with pytest.raises(ClientStateError) as caught:
        await task
    assert not caught.value.maybe_applied
