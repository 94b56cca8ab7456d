"""HTTP Basic: user name and password, put together only when a request is about to leave."""

from __future__ import annotations

import base64

from publitrac_async.transport.auth import Authorization, StaticCredentials
from publitrac_async.transport.secret import Secret


def basic_credentials(username: Secret, password: Secret) -> StaticCredentials:
    """The same user name and password in every request (RFC 7617, in UTF-8).

    Args:
        username: without a colon, which would end it on the wire.
        password: of one customer and function group.

    Raises:
        ConfigurationError: together they are too long for a header.
    """
    pair = f"{username.reveal()}:{password.reveal()}".encode()
    header = Secret(f"Basic {base64.b64encode(pair).decode('ascii')}", "Authorization", header=True)
    return StaticCredentials(Authorization(headers=(("Authorization", header),)))
