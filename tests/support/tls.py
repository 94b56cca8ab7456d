"""TLS for raw servers and for clients that trust them."""

from __future__ import annotations

import ssl

import trustme

from publitrac_async.transport.aiohttp_transport import AiohttpTransport


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> AiohttpTransport:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return AiohttpTransport(ssl_context=context)
