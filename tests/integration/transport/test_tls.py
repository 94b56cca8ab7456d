"""TLS: which certificates are trusted, and that other servers get no request."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme

from publitrac_async import NotSent, PublitracClient
from publitrac_async.transport.aiohttp_transport import AiohttpTransport
from tests.support.clients import lead, opened
from tests.support.tls import server_context, trusting
from tests.support.vendor import Vendor
from tests.support.wire import Peer, RawServer

TODAY = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def https(server: RawServer) -> str:
    return f"https://localhost:{server.port}"


async def use(publitrac: PublitracClient) -> None:
    await publitrac.v1.get_lead("a@example.com")
    await publitrac.v1.sync_lead(lead())
    await publitrac.v2.delayed_sync(lead())


async def test_a_trusted_service(authority: trustme.CA) -> None:
    context = server_context(authority.issue_cert("localhost"))
    async with RawServer(Vendor(), tls=context) as server:
        async with opened(https(server), transport=trusting(authority)) as publitrac:
            await use(publitrac)
        assert len(server.seen) == 4
        assert server.connections == 1


@pytest.mark.parametrize(
    "flaw", ["expired", "not yet valid", "wrong host", "unknown authority", "self-signed"]
)
@pytest.mark.fault("F22")
async def test_nothing_reaches_a_service_that_is_not_trusted(authority: trustme.CA, flaw: str) -> None:
    day = dt.timedelta(days=1)
    match flaw:
        case "expired":
            certificate = authority.issue_cert("localhost", not_before=TODAY - 9 * day, not_after=TODAY - day)
        case "not yet valid":
            certificate = authority.issue_cert("localhost", not_before=TODAY + day, not_after=TODAY + 9 * day)
        case "wrong host":
            certificate = authority.issue_cert("elsewhere.example")
        case _:
            certificate = trustme.CA().issue_cert("localhost")
    carrier = AiohttpTransport() if flaw == "self-signed" else trusting(authority)
    async with RawServer(Vendor(), tls=server_context(certificate)) as server:
        async with opened(https(server), transport=carrier) as publitrac:
            for sending in (
                publitrac.v1.get_lead("a@example.com"),
                publitrac.v1.call("addLead", xml="<request/>"),
                publitrac.v2.delayed_sync(lead()),
            ):
                with pytest.raises(NotSent, match="certificate") as caught:
                    await sending
                assert not caught.value.retryable
                assert not caught.value.maybe_applied
                assert caught.value.attempts == 1
                assert caught.value.__context__ is None
        assert server.received == 0
        assert server.seen == []


@pytest.mark.fault("F22")
async def test_a_handshake_that_is_cut_is_tried_again(authority: trustme.CA) -> None:
    vendor, cuts = Vendor(), 2

    async def cut(peer: Peer) -> bool:
        nonlocal cuts
        cuts -= 1
        await peer.reader.read(10)
        peer.close() if cuts else peer.reset()
        return False

    certificate = server_context(authority.issue_cert("localhost"))
    async with RawServer(vendor, greet=cut) as cutting, RawServer(vendor, tls=certificate) as whole:
        for server in (cutting, whole):
            async with opened(https(server), transport=trusting(authority)) as publitrac:
                if server is cutting:
                    with pytest.raises(NotSent, match="no connection") as caught:
                        await publitrac.v1.call("addLead", xml="<request/>")
                    assert caught.value.retryable
                    assert caught.value.attempts == 4
                else:
                    await publitrac.v1.call("addLead", xml="<request/>")
    assert len(vendor.applied) == 1


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
@pytest.mark.fault("F22")
async def test_a_service_that_does_not_speak_tls(authority: trustme.CA, says: bytes) -> None:
    async def plain(peer: Peer) -> bool:
        await peer.write(says)
        return False

    async with RawServer(Vendor(), greet=plain) as server:
        async with opened(https(server), transport=trusting(authority)) as publitrac:
            with pytest.raises(NotSent) as caught:
                await publitrac.v1.call("addLead", xml="<request/>")
        assert "certificate" not in str(caught.value)
        assert server.seen == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.fault("F22")
async def test_old_tls_is_refused(authority: trustme.CA) -> None:
    context = server_context(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with RawServer(Vendor(), tls=context) as server:
        async with opened(https(server), transport=trusting(authority)) as publitrac:
            with pytest.raises(NotSent):
                await publitrac.v1.get_lead("a@example.com")
        assert server.received == 0


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_authorities_from_the_environment_only_on_request(
    authority: trustme.CA, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    if variable == "SSL_CERT_DIR":
        import subprocess

        command = ["openssl", "x509", "-hash", "-noout", "-in", str(file)]
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        file = file.rename(tmp_path / f"{name}.0")
    monkeypatch.setenv(variable, str(file if variable == "SSL_CERT_FILE" else tmp_path))
    async with RawServer(Vendor(), tls=server_context(authority.issue_cert("localhost"))) as server:
        async with opened(https(server), trust_env=True) as publitrac:
            await use(publitrac)
        assert len(server.seen) == 4
        async with opened(https(server)) as publitrac:
            with pytest.raises(NotSent, match="certificate"):
                await publitrac.v1.get_lead("a@example.com")
        assert len(server.seen) == 4
