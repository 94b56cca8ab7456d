"""Proxies, .netrc and other settings of the machine: used only when asked for."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
import trustme

from publitrac_async import ConfigurationError, NotSent, PublitracError, Timeout
from publitrac_async.transport.proxy import NO_PROXY, proxy_from_environment
from tests.support.clients import lead, opened
from tests.support.faults import ONCE
from tests.support.proxy import ProxyServer
from tests.support.tls import server_context
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer

SECRETS = ("the-key", "the-user", "the-password", "token-1", "a@example.com")


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


@pytest.mark.parametrize("userinfo", ["", "me:pr%40xy%3Aword@"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_tunnel_shows_the_proxy_no_credential_of_ours(
    authority: trustme.CA, variable: str, userinfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = server_context(authority.issue_cert("service.test"))
    async with RawServer(Vendor(), tls=context) as server, ProxyServer() as proxy:
        monkeypatch.setenv(variable, proxy.url(userinfo))
        async with opened(f"https://service.test:{server.port}", trust_env=True) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
            await publitrac.v2.delayed_sync(lead())
        assert len(server.seen) == 3
        assert [head.split("\r\n")[0] for head in proxy.heads] == [
            f"CONNECT service.test:{server.port} HTTP/1.1"
        ]
        assert not any(secret in proxy.heads[0] for secret in SECRETS)
        pair = base64.b64encode(b"me:pr@xy:word").decode()
        assert (f"Basic {pair}" in proxy.heads[0]) is bool(userinfo)
        assert not any("proxy-authorization" in seen.headers for seen in server.seen)


@pytest.mark.parametrize("userinfo", ["", "me:word@"])
async def test_plain_http_goes_through_its_proxy_too(userinfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(Vendor()) as server, ProxyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(userinfo))
        monkeypatch.setenv("http_proxy", proxy.url(userinfo))
        url = f"http://service.test:{server.port}"
        async with opened(url, trust_env=True, allow_insecure_http=True) as publitrac:
            lead_found = await publitrac.v1.get_lead("a@example.com")
            await publitrac.v1.sync_lead(lead())
        assert lead_found.email == "a@example.com"
        assert len(server.seen) == 2
        assert proxy.heads[0].startswith(f"GET {url}/api?method=getLead&")
        pair = base64.b64encode(b"me:word").decode()
        assert (f"Basic {pair}" in proxy.heads[0]) is bool(userinfo)
        assert not any("proxy-authorization" in seen.headers for seen in server.seen)


@pytest.mark.fault("F39")
async def test_proxies_are_ignored_unless_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(Vendor()) as server, ProxyServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url("me:word@"))
        async with opened(server.url) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
        assert proxy.heads == []
        assert len(server.seen) == 1


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "localhost, 127.0.0.1", "127.0.0.1:{port}"])
async def test_no_proxy_is_honoured(exception: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer(Vendor()) as server, ProxyServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        monkeypatch.setenv("no_proxy", exception.format(port=server.port))
        async with opened(server.url, trust_env=True) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
        assert proxy.heads == []
        monkeypatch.setenv("no_proxy", "elsewhere.example, 127.0.0.1:1")
        async with opened(server.url, trust_env=True) as publitrac:
            await publitrac.v1.get_lead("a@example.com")
        assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("host", "exception"),
    [
        ("[::1]:80", "::1"),
        ("[::1]:80", "[::1]:80"),
        ("a.example:443", ".example"),
        ("a.example", "a.example"),
    ],
)
def test_no_proxy_names_hosts_in_many_ways(
    host: str, exception: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert proxy_from_environment("https", host).url == "http://proxy.example:3128/"
    monkeypatch.setenv("no_proxy", exception)
    assert proxy_from_environment("https", host) is NO_PROXY


@pytest.mark.parametrize(
    ("status", "attempts", "advice"),
    [
        ("407 Proxy Authentication Required", 1, "check its user and password"),
        ("403 Forbidden", 1, "check that it permits this host"),
        ("302 Found", 1, "check that it permits this host"),
        ("502 Bad Gateway", 4, "HTTP 502"),
    ],
)
async def test_a_tunnel_that_is_refused_means_nothing_was_sent(
    authority: trustme.CA, status: str, attempts: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ProxyServer(status=status) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url("me:proxyword@"))
        async with opened("https://service.test", trust_env=True) as publitrac:
            with pytest.raises(NotSent, match=f"the proxy refused.*{advice}") as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
        assert not caught.value.maybe_applied
        assert len(proxy.heads) == caught.value.attempts == attempts
        assert "proxyword" not in str(caught.value)


TUNNELS = {
    "no TLS in the tunnel": b"HTTP/1.1 200 OK\r\n\r\nno TLS at all, whatever the tunnel promised" + bytes(99),
    "no HTTP": bytes(200),
    "a TLS alert": b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x28",
    "an endless refusal": b"HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4\r\nno!!\r\n" * 9999,
    "endless interim responses": b"HTTP/1.1 102 Processing\r\n\r\n" * 9999,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9999,
    "blank lines": b"\r\n" * 99_999,
    "the end": b"",
}


@pytest.mark.parametrize("tunnel", TUNNELS)
async def test_any_response_of_a_proxy_means_that_nothing_was_sent(
    tunnel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def greet(peer: Peer) -> bool:
        while TUNNELS[tunnel] and not peer.writer.is_closing():
            await peer.write(TUNNELS[tunnel])
            if "endless" not in tunnel:
                break
        peer.close()
        return False

    async with RawServer(Vendor(), greet=greet) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        options = {"retry": ONCE, "timeout": Timeout(total=None, connect=0.3, read=0.3)}
        async with (
            opened("https://service.test", trust_env=True, **options) as publitrac,
            asyncio.timeout(10),
        ):
            with pytest.raises(NotSent) as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
    assert not caught.value.maybe_applied


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:proxyword@127.0.0.1:9")
    async with RawServer(Vendor()) as server, opened(server.url, trust_env=True) as publitrac:
        with pytest.raises(NotSent) as caught:
            await publitrac.v1.call("addLead", xml="<request/>")
        assert "proxyword" not in str(caught.value)
        assert server.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        "socks5://me:proxyword@127.0.0.1:1080",
        "http://me:proxyword@[::1",
        "http://me:proxyword@127.0.0.1:port",
        "http://me:proxyword@",
        "ftp://me:proxyword@host",
    ],
)
async def test_an_invalid_address_is_a_configuration_error(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", address)
    async with RawServer(Vendor()) as server, opened(server.url, trust_env=True) as publitrac:
        with pytest.raises(ConfigurationError, match="proxy") as caught:
            await publitrac.v1.get_lead("a@example.com")
        assert "proxyword" not in str(caught.value)
        assert caught.value.__context__ is None
        assert server.connections == 0


@pytest.mark.parametrize("trust_env", [True, False])
@pytest.mark.fault("F39")
async def test_netrc_is_never_read(trust_env: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login x password netrcword\ndefault login x password netrcword\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with RawServer(Vendor()) as server, opened(server.url, trust_env=trust_env) as publitrac:
        await publitrac.v1.get_lead("a@example.com")
        await publitrac.v2.delayed_sync(lead())
        read, token_request, queue = server.seen
        assert "authorization" not in read.headers
        assert token_request.headers["authorization"] == "the-key"
        assert "authorization" not in queue.headers


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "host",
        "",
        "http://host",
        "http://10.0.0.1",
        "https://",
        "https://host?x=1",
        "https://host#x",
        "https://user:urlword@host",
        "https://urlword@host",
        "https://[::1",
        "https://host:port",
        "https://host:99999",
        "https://ho st",
        "https://host/pa th\n",
    ],
)
async def test_invalid_base_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        async with opened(url):
            pass
    assert "urlword" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://host", "https://host:8443/path/", "http://localhost:1", "http://[::1]:1"]
)
async def test_base_urls_that_are_fine(url: str) -> None:
    async with opened(url) as publitrac:
        assert url.rstrip("/") in repr(publitrac)


@pytest.mark.fault("F39")
async def test_an_error_of_this_package_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    async with opened("https://127.0.0.1:9", trust_env=True) as publitrac:
        with pytest.raises(PublitracError):
            await publitrac.v1.get_lead("a@example.com")
