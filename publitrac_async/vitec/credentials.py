"""HTTP Basic: user name and password, combined right before a request is sent."""

from __future__ import annotations

import base64

from publitrac_async.transport.auth import Authorization, StaticCredentials
from publitrac_async.transport.secret import Secret


def basic_credentials(username: Secret, password: Secret) -> StaticCredentials:
    """Return an authenticator with the same user name and password for every request (RFC 7617, in UTF-8).

    Args:
        username: without a colon, which separates it from the password.
        password: of one customer and function group.

    Raises:
        ConfigurationError: together they are too long for a header.
    """
    pair = f"{username.reveal()}:{password.reveal()}".encode()
    header = Secret(f"Basic {base64.b64encode(pair).decode('ascii')}", "Authorization", header=True)
    headers = (("Authorization", header),)
    return StaticCredentials(Authorization(headers=headers, encoded=(username, password)))
